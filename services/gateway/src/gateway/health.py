"""Liveness, readiness and figures of the gateway."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.blobs import Blobs, BlobsUnavailable
from gateway.answers import json_answer
from gateway.broker import Broker
from gateway.database import Database, StoreUnavailable
from gateway.models import Health

_PROBE_SECONDS = 3.0


class HealthApi:
    """The handlers of `/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, *, broker: Broker, blobs: Blobs, database: Database) -> None:
        self._broker = broker
        self._blobs = blobs
        self._database = database
        self._draining = False

    def drain(self) -> None:
        """From now on the gateway is not ready: it finishes what it has."""
        self._draining = True

    async def alive(self, _request: web.Request) -> web.Response:
        """GET /healthz: the loop turns, or this would not be answered."""
        return json_answer(Health(status="ok"))

    async def ready(self, _request: web.Request) -> web.Response:
        """GET /readyz: 200 when an upload sent now would be taken."""
        if self._draining:
            return json_answer(Health(status="unready", reasons=["draining"]), status=503)
        kafka, blobs, postgres = await asyncio.gather(
            self._broker.answers(), self._blobs_answer(), self._store_answers()
        )
        reasons = [
            f"{part} does not answer"
            for part, answers in (("kafka", kafka), ("blobs", blobs), ("postgres", postgres))
            if not answers
        ]
        if not (kafka and blobs):
            return json_answer(Health(status="unready", reasons=reasons), status=503)
        return json_answer(Health(status="degraded" if reasons else "ok", reasons=reasons))

    async def metrics(self, _request: web.Request) -> web.Response:
        """GET /metrics."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _blobs_answer(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._blobs.stat("readyz")
        except (BlobsUnavailable, TimeoutError):
            return False
        return True

    async def _store_answers(self) -> bool:
        try:
            await self._database.ping()
        except StoreUnavailable:
            return False
        return True
