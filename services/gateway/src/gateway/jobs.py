"""Listing, reading, cancelling and deleting jobs."""

import asyncio
from typing import Literal, get_args

from aiohttp import web

from common.bus.producer import Producer
from common.events import JobControl
from gateway.answers import json_answer, json_bytes
from gateway.cursors import cursor, place
from gateway.database import StoreUnavailable
from gateway.lookup import Jobs
from gateway.models import ENDED, Deletion, Job, JobPage, JobsQuery, Status
from gateway.principal import owner_of
from gateway.problems import ALREADY_ENDED, Problem
from gateway.routing import query_of
from gateway.settings import GatewaySettings
from gateway.store import Store

_STATES: tuple[Status, ...] = get_args(Status)
_ERASURE_PAUSE = 0.1


class JobsApi:
    """The handlers of `/v1/jobs`, save the upload, the events and the transcript."""

    def __init__(self, *, jobs: Jobs, store: Store, producer: Producer, settings: GatewaySettings) -> None:
        self._jobs = jobs
        self._store = store
        self._producer = producer
        self._settings = settings

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/jobs."""
        query = query_of(request, JobsQuery)
        owner = owner_of(request)
        found = await self._store.newest(owner, status=query.status, before=place(query.cursor), limit=query.limit + 1)
        page = found[: query.limit]
        counts = dict.fromkeys(_STATES, 0) | await self._store.counts(owner)
        more = len(found) > query.limit
        return json_answer(
            JobPage(jobs=page, next_cursor=cursor(page[-1].created_at, page[-1].id) if more else None, counts=counts)
        )

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/jobs/{id}."""
        return json_bytes((await self._jobs.find(request)).shown)

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /v1/jobs/{id}/cancel."""
        job = (await self._jobs.find(request)).job
        if job.status in ENDED:
            raise Problem(ALREADY_ENDED, f"The job is {job.status}.", job_status=job.status)
        await self._say(request, job, "cancel")
        return json_answer(job, status=202)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/jobs/{id}: 204 when everything is erased, 202 when that goes on in the background."""
        job = (await self._jobs.find(request)).job
        await self._say(request, job, "delete")
        try:
            async with asyncio.timeout(self._settings.delete_seconds):
                while not await self._store.erased(job.id):  # noqa: ASYNC110 - the row is Postgres', no event tells
                    await asyncio.sleep(_ERASURE_PAUSE)
        except (TimeoutError, StoreUnavailable):
            return json_answer(Deletion(id=job.id), status=202)
        return web.Response(status=204)

    async def _say(self, request: web.Request, job: Job, action: Literal["cancel", "delete"]) -> None:
        await self._producer.publish(
            JobControl(job_id=job.id, owner=owner_of(request), lane=job.priority, action=action),
            timeout=self._settings.publish_seconds,
        )
