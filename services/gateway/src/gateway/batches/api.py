"""The handlers of `/v1/batches`, save the submit."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.answers import csv_lines, json_answer
from gateway.batches import views
from gateway.batches.models import BatchesQuery, BatchItem, BatchItems, BatchPage, ItemsQuery
from gateway.batches.release import Releaser
from gateway.batches.store import BatchRow, BatchStore
from gateway.cursors import cursor, place
from gateway.lookup import path_id
from gateway.models import Deletion
from gateway.principal import owner_of
from gateway.problems import ALREADY_ENDED, NOT_FOUND, Problem
from gateway.routing import query_of

_FIELDS = ("line", "reference", "url", "blob", "upload", "status", "job_id", "attempt", "duration", "field")
REPORT = (*_FIELDS, "error_code", "error")
"""The columns of a report."""

_PAGE = 1_000


class BatchesApi:
    """Reads batches, and passes on what is asked of them."""

    def __init__(self, *, store: BatchStore, releaser: Releaser) -> None:
        self._store = store
        self._releaser = releaser

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/batches."""
        query = query_of(request, BatchesQuery)
        found = await self._store.newest(owner_of(request), before=place(query.cursor), limit=query.limit + 1)
        page = found[: query.limit]
        following = cursor(page[-1].created_at, page[-1].id) if len(found) > query.limit else None
        return json_answer(BatchPage(batches=[views.summary(row) for row in page], next_cursor=following))

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/batches/{id}."""
        return await self._answer(request)

    async def items(self, request: web.Request) -> web.Response:
        """GET /v1/batches/{id}/items."""
        query = query_of(request, ItemsQuery)
        batch = await self._found(request)
        after = int(query.cursor or 0)
        found = await self._page(batch, status=query.status, after=after, limit=query.limit + 1)
        page = found[: query.limit]
        following = str(page[-1].line) if len(found) > query.limit else None
        return json_answer(BatchItems(items=page, next_cursor=following))

    async def report(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/batches/{id}/report: as it is read, a thousand records at a time."""
        batch = await self._found(request)
        items = await self._page(batch, status=None, after=0, limit=_PAGE)
        stream = web.StreamResponse(
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": f'attachment; filename="batch-{batch.id}.csv"',
            }
        )
        await stream.prepare(request)
        await stream.write(csv_lines([list(REPORT)]))
        while items:
            await stream.write(await asyncio.to_thread(_records, items))
            items = await self._page(batch, status=None, after=items[-1].line, limit=_PAGE)
        await stream.write_eof()
        return stream

    async def retry(self, request: web.Request) -> web.Response:
        """POST /v1/batches/{id}/retry."""
        owner, batch = owner_of(request), path_id(request)
        await self._releaser.settle()
        status = await self._store.retry(owner, batch)
        if status is None:
            raise _missing()
        if status not in {"running", "completed"}:
            raise _not_now(status)
        self._releaser.wake()
        return await self._answer(request, status=202)

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /v1/batches/{id}/cancel."""
        row = await self._found(request)
        if not await self._store.cancel(row.owner, row.id):
            raise _not_now((await self._found(request)).status)
        self._releaser.wake()
        return await self._answer(request, status=202)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/batches/{id}."""
        batch = path_id(request)
        if not await self._store.delete(owner_of(request), batch):
            raise _missing()
        self._releaser.wake()
        return json_answer(Deletion(id=batch), status=202)

    async def _found(self, request: web.Request) -> BatchRow:
        row = await self._store.batch(owner_of(request), path_id(request))
        if row is None:
            raise _missing()
        return row

    async def _answer(self, request: web.Request, *, status: int = 200) -> web.Response:
        found = await self._store.look(owner_of(request), path_id(request))
        if found is None:
            raise _missing()
        return json_answer(views.view(*found), status=status)

    async def _page(self, batch: BatchRow, *, status: str | None, after: int, limit: int) -> Sequence[BatchItem]:
        rows = await self._store.items(batch.owner, batch.id, status=status, after=after, limit=limit)
        return [views.item(row) for row in rows]


def _records(items: Sequence[BatchItem]) -> bytes:
    plain = [item.model_dump(mode="json") for item in items]
    return csv_lines(
        [
            [
                *(values.get(name) for name in _FIELDS),
                item.error.code if item.error else None,
                item.error.message if item.error else None,
            ]
            for item, values in zip(items, plain, strict=True)
        ]
    )


def _missing() -> Problem:
    return Problem(NOT_FOUND, "There is no batch with this id.")


def _not_now(status: str) -> Problem:
    shown = views.status_of(status)
    if shown == "receiving":
        return Problem(ALREADY_ENDED, "The manifest has not come whole yet.", batch_status=shown)
    return Problem(ALREADY_ENDED, f"The batch is {shown}.", batch_status=shown)
