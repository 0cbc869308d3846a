"""The addresses of API keys and of stream tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiohttp import web

from gateway import repeats
from gateway.answers import json_answer
from gateway.database import StoreUnavailable
from gateway.identity import rules
from gateway.identity.key_models import (
    MOST_DAYS,
    USUAL_SCOPES,
    ApiKeyCreated,
    ApiKeyList,
    ApiKeyRotated,
    KeyScope,
    NewApiKey,
    NewStreamToken,
    RotateQuery,
    StreamToken,
)
from gateway.identity.key_store import MOST_KEYS, Full
from gateway.identity.keys import Keys
from gateway.identity.ports import Audit
from gateway.identity.tokens import Tokens
from gateway.lookup import path_id
from gateway.principal import Principal, owner_of, principal_of
from gateway.problems import FORBIDDEN, INVALID, KEY_ROTATED, NOT_FOUND, TOO_MANY_KEYS, Problem
from gateway.routing import body_of, query_of

log = structlog.get_logger(__name__)


class KeysApi:
    """The handlers of `/v1/keys` and `/auth/api-keys`."""

    def __init__(self, *, keys: Keys, audit: Audit) -> None:
        self._keys = keys
        self._audit = audit

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/keys."""
        asked, principal = body_of(request, NewApiKey), principal_of(request)
        once = repeats.asked(request, "key", asked)
        # First, for what was right the first time may not be so any more.
        if once.digest is not None and (repeated := await self._repeated(principal, once)):
            raise repeated
        name = _name(asked.name)
        scopes, ends = _scopes(asked, principal), _end(asked)
        made = await self._keys.create(principal, name=name, scopes=scopes, expires_at=ends, asked=once)
        if made is None:
            raise await self._repeated(principal, once) or _too_many()
        key, text = made
        await self._note(request, "key.created", key=str(key.id), prefix=key.prefix, scopes=key.scopes)
        return json_answer(ApiKeyCreated(**key.model_dump(), key=text), status=201)

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/keys."""
        return json_answer(ApiKeyList(keys=await self._keys.of_owner(owner_of(request))))

    async def rotate(self, request: web.Request) -> web.Response:
        """POST /v1/keys/{id}/rotate."""
        grace = timedelta(seconds=query_of(request, RotateQuery).grace_seconds)
        principal = principal_of(request)
        old = await self._keys.valid(principal.owner, path_id(request))
        if old is None:
            raise _no_key()
        if missing := sorted(set(old.scopes) - principal.scopes):
            raise _too_much("This key may do more than you: ", missing)
        try:
            done = await self._keys.rotate(principal, old, grace)
        except Full:
            raise _too_many() from None
        if done is None:
            raise Problem(KEY_ROTATED, "This key was rotated before; rotate the one that took its place.")
        key, text, ends = done
        await self._note(request, "key.rotated", key=str(old.id), to=str(key.id), prefix=key.prefix)
        return json_answer(
            ApiKeyRotated(**key.model_dump(), key=text, rotated_from=old.id, old_expires_at=ends), status=201
        )

    async def revoke(self, request: web.Request) -> web.Response:
        """DELETE /v1/keys/{id}."""
        key = path_id(request)
        if not await self._keys.revoke(owner_of(request), key):
            raise _no_key()
        await self._note(request, "key.revoked", key=str(key))
        return web.Response(status=204)

    async def _repeated(self, principal: Principal, once: repeats.Asked) -> Problem | None:
        """What to answer when the request made a key before; None when it did not."""
        before = await self._keys.asked_for(principal.owner, once.id)
        if before is None:
            return None
        if await self._keys.valid(principal.owner, once.id) is None:
            instead = "the key is not valid any more, use a new Idempotency-Key to have another"
        else:
            instead = "rotate the key to have another"
        return repeats.repeated(once, before, instead)

    async def _note(self, request: web.Request, action: str, **details: Any) -> None:
        try:
            await self._audit(request, action, **details)
        except StoreUnavailable:
            # The key is made, and only this answer has its text: it must not be lost for the sake of a line.
            log.exception("audit_line_lost", action=action, **details)


class StreamTokensApi:
    """The handler of `/v1/stream-tokens`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/stream-tokens."""
        seconds, principal = body_of(request, NewStreamToken).seconds, principal_of(request)
        token = await self._tokens.issue_stream(
            principal.owner,
            seconds,
            session=principal.credential if principal.via == "session" else None,
            key=principal.credential if principal.via == "key" else None,
        )
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        return json_answer(StreamToken(token=token, expires_in=seconds, expires_at=ends), status=201)


def _name(text: str) -> str:
    try:
        name = rules.plain(text, rules.LONGEST_NAME) if text.isprintable() else None
    except ValueError as error:  # some characters are two in NFC
        raise _invalid("name", str(error)) from None
    if name is None:
        raise _invalid("name", "must be readable text")
    return name


def _scopes(asked: NewApiKey, principal: Principal) -> tuple[KeyScope, ...]:
    if asked.scopes is None:
        usual: tuple[KeyScope, ...] = tuple(scope for scope in USUAL_SCOPES if scope in principal.scopes)
        if not usual:
            raise _invalid("scopes", "must be named, as you have none of the usual ones")
        return usual
    if missing := sorted(set(asked.scopes) - principal.scopes):
        raise _too_much("You may give a key only what you may do yourself; not yours: ", missing)
    return asked.scopes


def _end(asked: NewApiKey) -> datetime | None:
    now = datetime.now(UTC)
    if asked.expires_in_days is not None:
        if asked.expires_at is not None:
            raise _invalid("expires_in_days", "may not stand beside expires_at")
        return now + timedelta(days=asked.expires_in_days)
    if asked.expires_at is not None and not now < asked.expires_at <= now + timedelta(days=MOST_DAYS):
        raise _invalid("expires_at", f"must lie in the future, {MOST_DAYS} days ahead at most")
    return asked.expires_at


def _no_key() -> Problem:
    return Problem(NOT_FOUND, "There is no valid key with this id.")


def _too_many() -> Problem:
    return Problem(TOO_MANY_KEYS, f"There may be {MOST_KEYS} valid keys; revoke one first.", limit=MOST_KEYS)


def _too_much(detail: str, scopes: Sequence[str]) -> Problem:
    return Problem(FORBIDDEN, f"{detail}{', '.join(scopes)}.", errors=[("scopes", "are more than yours")])


def _invalid(field: str, message: str) -> Problem:
    return Problem(INVALID, f"{field} {message}.", errors=[(field, message)])
