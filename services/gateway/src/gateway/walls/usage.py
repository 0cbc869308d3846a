"""What was used: sums, and single billable acts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from common.events import now
from gateway.answers import json_answer
from gateway.cursors import cursor, place
from gateway.principal import principal_of
from gateway.problems import FORBIDDEN, INVALID, Problem
from gateway.routing import query_of
from gateway.walls.models import RecordsQuery, Usage, UsageQuery, UsageRecord, UsageRecords, Used, UsedBy
from gateway.walls.store import WallsStore

LONGEST = timedelta(days=400)
"""Days of one answer: a year, and the month it is compared with."""


class UsageApi:
    """The handlers of `/v1/usage`.

    Parameters
    ----------
    clock
        Tells which day it is.
    """

    def __init__(self, store: WallsStore, *, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._clock = clock

    async def sums(self, request: web.Request) -> web.Response:
        """GET /v1/usage."""
        query = query_of(request, UsageQuery)
        user = _user(request, query.user)
        since, until = self._days(query.since, query.until)
        total, groups = await self._store.used(user, _midnight(since), _midnight(until + timedelta(days=1)), query.by)
        return json_answer(
            Usage(
                user=user,
                since=since,
                until=until,
                total=Used.model_validate(dict(total)),
                groups=[UsedBy.model_validate(dict(group)) for group in groups],
            )
        )

    async def records(self, request: web.Request) -> web.Response:
        """GET /v1/usage/records."""
        query = query_of(request, RecordsQuery)
        user = _user(request, query.user)
        since, until = self._days(query.since, query.until)
        rows = await self._store.records(
            user, _midnight(since), _midnight(until + timedelta(days=1)), place(query.cursor), query.limit + 1
        )
        page = [UsageRecord.model_validate(dict(row)) for row in rows[: query.limit]]
        following = cursor(page[-1].timestamp, page[-1].id) if len(rows) > query.limit else None
        return json_answer(UsageRecords(records=page, next_cursor=following))

    def _days(self, since: date | None, until: date | None) -> tuple[date, date]:
        today = self._clock().astimezone(UTC).date()
        last = until or max(today, since or today)
        first = since or last.replace(day=1)
        message = None
        if first > last:
            message = "is after the last day"
        elif last - first > LONGEST or last == date.max:
            message = f"is more than {LONGEST.days} days before the last day"
        if message is not None:
            raise Problem(INVALID, f"since {message}.", errors=[("since", message)])
        return first, last


def _user(request: web.Request, asked: str | None) -> str:
    principal = principal_of(request)
    if asked is None or asked == principal.owner:
        return principal.owner
    if "admin" not in principal.scopes:
        raise Problem(FORBIDDEN, "Another user's usage needs the scope 'admin'.", scope="admin")
    return asked


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
