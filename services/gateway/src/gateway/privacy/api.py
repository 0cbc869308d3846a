"""The handlers of an export and of an account's end."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from aiohttp import web

from common.events import now
from gateway.answers import json_answer
from gateway.database import StoreUnavailable
from gateway.identity.freshness import need_fresh_login
from gateway.identity.ports import Audit
from gateway.principal import OPERATOR, owner_of, principal_of
from gateway.privacy.export import Export
from gateway.privacy.pace import Pace
from gateway.privacy.store import PrivacyStore
from gateway.privacy.table import AccountDeletion, ExportQuery
from gateway.problems import BUSY_EXPORTING, NO_ACCOUNT, UNAVAILABLE, Problem
from gateway.routing import query_of
from gateway.settings import GatewaySettings

_AT_ONCE = 2
"""Exports at a time: each holds a table of contents, which for a hundred thousand jobs is large."""

_LATER = {"Retry-After": "30"}

_PAUSE = 0.1


class PrivacyApi:
    """The handlers of `/v1/account/export` and `DELETE /v1/account`."""

    def __init__(
        self,
        *,
        export: Export,
        store: PrivacyStore,
        audit: Audit,
        ended: Callable[[str], None],
        settings: GatewaySettings,
    ) -> None:
        self._export = export
        self._store = store
        self._audit = audit
        self._ended = ended
        self._settings = settings
        self._exporting: set[str] = set()

    async def export(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/account/export."""
        query, owner, at = query_of(request, ExportQuery), owner_of(request), now()
        if owner in self._exporting:
            raise Problem(BUSY_EXPORTING, "An export of yours is being made; read it, or wait.", headers=_LATER)
        if len(self._exporting) >= _AT_ONCE:
            raise Problem(UNAVAILABLE, "Exports of others are being made; send the request again.", headers=_LATER)
        self._exporting.add(owner)
        try:
            await self._audit(request, "account.exported", recordings=query.recordings)
            answer = web.StreamResponse(
                headers={
                    "Content-Type": "application/zip",
                    "Content-Disposition": f'attachment; filename="scribewire-{at:%Y-%m-%d}.zip"',
                }
            )
            pace = Pace()
            async with aclosing(self._export.content(owner, at=at, recordings=query.recordings)) as content:
                async for chunk in content:
                    if not answer.prepared:
                        # Not before there is something: a database that is away is then a 503, not a broken file.
                        await answer.prepare(request)
                    if chunk:
                        await pace.keep(answer.write(chunk), len(chunk))
            await pace.keep(answer.write_eof(), 0)
        finally:
            self._exporting.discard(owner)
        return answer

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/account: 204 when everything is erased, 202 when that goes on in the background."""
        owner = owner_of(request)
        if owner == OPERATOR:
            raise Problem(NO_ACCOUNT, "The operator's key belongs to no account; there is none to delete.")
        need_fresh_login(principal_of(request), "end your account")
        await self._audit(request, "account.deleted")
        jobs = await self._store.end(owner, now())
        self._ended(owner)
        try:
            async with asyncio.timeout(self._settings.delete_seconds):
                while not await self._store.ended(owner):  # noqa: ASYNC110 - the row is Postgres', no event tells
                    await asyncio.sleep(_PAUSE)
        except (TimeoutError, StoreUnavailable):
            return json_answer(AccountDeletion(id=owner, jobs=jobs or 0), status=202)
        return web.Response(status=204)
