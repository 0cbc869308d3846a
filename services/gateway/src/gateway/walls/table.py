"""The addresses of the walls."""

from gateway.principal import LEGACY
from gateway.routing import Answer, Route
from gateway.walls.models import (
    AccountLimits,
    ChangedLimits,
    LimitsNow,
    RecordsQuery,
    Usage,
    UsageQuery,
    UsageRecords,
)

ROUTES: tuple[Route, ...] = (
    Route(
        operation="get_limits",
        method="GET",
        path="/v1/limits",
        summary="What may be used, and what is left of it",
        answers={
            200: Answer(
                "The limits, and how the caller stands with them.",
                LimitsNow,
                headers={"RateLimit": "What is left.", "RateLimit-Policy": "Of what."},
            )
        },
        problems=(503,),
    ),
    Route(
        operation="get_usage",
        method="GET",
        path="/v1/usage",
        scope="account",
        summary="What was used, in sums",
        query=UsageQuery,
        answers={200: Answer("The sums.", Usage)},
        problems=(422, 503),
    ),
    Route(
        operation="list_usage",
        method="GET",
        path="/v1/usage/records",
        scope="account",
        summary="What was used, act by act, newest first",
        query=RecordsQuery,
        answers={200: Answer("A page of billable acts.", UsageRecords)},
        problems=(422, 503),
    ),
    Route(
        operation="get_account_limits",
        method="GET",
        path="/v1/admin/accounts/{id}/limits",
        words=(LEGACY,),
        scope="admin",
        summary="What an account may use",
        answers={200: Answer("Its limits.", AccountLimits)},
        problems=(404, 503),
    ),
    Route(
        operation="change_account_limits",
        method="PATCH",
        path="/v1/admin/accounts/{id}/limits",
        words=(LEGACY,),
        scope="admin",
        summary="Change what an account may use",
        description="Every gateway holds to it within ten seconds.",
        body=ChangedLimits,
        answers={200: Answer("Its limits from now on.", AccountLimits)},
        problems=(400, 404, 413, 415, 422, 503),
    ),
)
