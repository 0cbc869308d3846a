"""The addresses of API keys and stream tokens, as a table."""

from gateway.identity.key_models import (
    ApiKeyCreated,
    ApiKeyList,
    ApiKeyRotated,
    NewApiKey,
    NewStreamToken,
    RotateQuery,
    StreamToken,
)
from gateway.repeats import HEADER
from gateway.routing import Answer, Route

_CREATED = Answer("The key, shown this once.", ApiKeyCreated)
_ROTATED = Answer("The new key, shown this once, and until when the old one is valid.", ApiKeyRotated)
_LIST = Answer("Every key that was not revoked, newest first, without its secret.", ApiKeyList)
_GONE = Answer("It opens nothing any more: here at once, at other gateways within two seconds.")


def _keys(prefix: str, path: str) -> tuple[Route, ...]:
    return (
        Route(
            operation=f"{prefix}create_key",
            method="POST",
            path=path,
            scope="keys",
            summary="Make an API key",
            description="Its scopes are at most those of whoever makes it.",
            body=NewApiKey,
            headers=HEADER,
            answers={201: _CREATED},
            problems=(400, 409, 413, 415, 422, 503),
        ),
        Route(
            operation=f"{prefix}list_keys",
            method="GET",
            path=path,
            scope="keys",
            summary="List API keys",
            answers={200: _LIST},
            problems=(503,),
        ),
        Route(
            operation=f"{prefix}rotate_key",
            method="POST",
            path=f"{path}/{{id}}/rotate",
            scope="keys",
            summary="Put a new key in the place of one",
            description=(
                "The new one may do the same and lives as long, though rotated with a key it ends with that key at the "
                "latest; the old one stays valid for the grace."
            ),
            query=RotateQuery,
            answers={201: _ROTATED},
            problems=(404, 409, 422, 503),
        ),
        Route(
            operation=f"{prefix}revoke_key",
            method="DELETE",
            path=f"{path}/{{id}}",
            scope="keys",
            summary="Revoke an API key",
            answers={204: _GONE},
            problems=(404, 503),
        ),
    )


ROUTES: tuple[Route, ...] = (
    *_keys("", "/v1/keys"),
    *_keys("auth_", "/auth/api-keys"),
    Route(
        operation="create_stream_token",
        method="POST",
        path="/v1/stream-tokens",
        scope="jobs:read",
        summary="Make a token for a browser's event streams",
        description=(
            "It opens `/v1/jobs/{id}/events` of your jobs, in `access_token` of the address or as a bearer token, and "
            "nothing else. A stream that is open when it ends goes on."
        ),
        body=NewStreamToken,
        answers={201: Answer("The token.", StreamToken)},
        problems=(400, 413, 415, 422, 503),
    ),
)
