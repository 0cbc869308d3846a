"""The room of uploads behind the real application, on a folder, with a log that can be away; without PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from common.blobs.folder import FolderBlobs
from common.bus.producer import BusUnavailable
from common.events import UploadReceived
from common.options import JobOptions, SegmentPlan
from gateway.app import application
from gateway.callers import Callers
from gateway.routes import ROUTES
from gateway.settings import GatewaySettings
from gateway.uploads.room import uploads_room
from gateway.uploads.uploads import Uploads
from gateway.walls.price import FREE
from support.doors import BelievingDoor
from support.gateway import DEAD_DSN

ANN = "00000000-0000-4000-8000-00000000000a"
BOB = "00000000-0000-4000-8000-00000000000b"


@dataclass
class Jobs:
    """What makes jobs of uploads, and what holds their owners to limits: here nobody is held to any."""

    events: list[UploadReceived] = field(default_factory=list)
    away: bool = False
    gone: set[UUID] = field(default_factory=set)

    def plan(self, _options: JobOptions) -> SegmentPlan:
        return SegmentPlan(provider="null")

    async def same(self, *_: object) -> None:
        return None

    async def accept(self, event: UploadReceived) -> None:
        if self.away:
            raise BusUnavailable
        self.events.append(event)

    def deleted(self, job: UUID) -> bool:
        return job in self.gone

    def price(self, _options: JobOptions, _plan: SegmentPlan) -> Any:
        return FREE

    async def check(self, _owner: str, _price: Any) -> None:
        return None


@dataclass(frozen=True)
class TusRoom:
    """A room that serves: whom to ask, what came of it, and what the audit log was told."""

    http: ClientSession
    url: str
    jobs: Jobs
    uploads: Uploads
    told: list[tuple[str, str]]

    def heard(self) -> list[tuple[str, str]]:
        """What was told since the last time."""
        lines = list(self.told)
        self.told.clear()
        return lines


@asynccontextmanager
async def tus_room(folder: Path, **settings: Any) -> AsyncIterator[TusRoom]:
    """Serve until the block ends; the session is Ann's."""
    jobs: Any = Jobs()
    told: list[tuple[str, str]] = []
    values: dict[str, Any] = {
        "database_url": DEAD_DSN,
        "operator_key_file": folder / "operator.key",
        "encryption_keys_file": folder / "encryption.keys",
    }
    blobs = folder / "blobs"
    blobs.mkdir()
    known = GatewaySettings(**(values | settings))
    room = uploads_room(FolderBlobs(blobs), jobs, jobs, Callers(known.trusted_networks), known)

    async def other(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = application(
        {route.operation: room.handlers.get(route.operation, other) for route in ROUTES},
        BelievingDoor(),
        noted=lambda _request, action, about: told.append((action, about)),
    )
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with ClientSession(url, headers={"Authorization": f"Bearer {ANN}"}) as http:
            yield TusRoom(http, url, jobs, room.uploads, told)
