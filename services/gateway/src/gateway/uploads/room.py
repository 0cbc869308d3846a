"""The parts of this room, joined."""

from dataclasses import dataclass
from datetime import timedelta

from common.blobs import Blobs
from gateway.acceptance import Acceptance
from gateway.callers import Callers
from gateway.problems import Handler
from gateway.settings import GatewaySettings
from gateway.uploads.answers import Addresses
from gateway.uploads.api import Tus
from gateway.uploads.begin import Begin
from gateway.uploads.finish import Finish
from gateway.uploads.hashing import Hashes
from gateway.uploads.receiving import Receiving
from gateway.uploads.store import UploadStore
from gateway.uploads.table import OPTIONS, ROUTES
from gateway.uploads.uploads import Uploads
from gateway.walls.gate import Gate


@dataclass(frozen=True)
class UploadsRoom:
    """Handlers by operation, and the uploads for other rooms."""

    handlers: dict[str, Handler]
    uploads: Uploads


def uploads_room(
    blobs: Blobs, acceptance: Acceptance, gate: Gate, callers: Callers, settings: GatewaySettings
) -> UploadsRoom:
    """Join the parts."""
    store, hashes = UploadStore(blobs), Hashes()
    finish = Finish(blobs, store, hashes, acceptance)
    uploads = Uploads(blobs, store, finish, lifetime=timedelta(hours=settings.upload_hours))
    receiving = Receiving(blobs, hashes, stall=settings.upload_stall_seconds)
    base = settings.base_url if settings.public_url is not None else None
    begin = Begin(
        store=store,
        uploads=uploads,
        receiving=receiving,
        finish=finish,
        acceptance=acceptance,
        gate=gate,
        addresses=Addresses(base, callers),
        limit=settings.max_file_size,
    )
    tus = Tus(
        begin=begin, store=store, uploads=uploads, receiving=receiving, finish=finish, limit=settings.max_file_size
    )
    handlers: dict[str, Handler] = {
        route.operation: tus.options if route.operation in OPTIONS else tus for route in ROUTES
    }
    return UploadsRoom(handlers, uploads)
