"""POST /v1/batches: a manifest read as it streams in, its items kept a thousand at a time."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import structlog
from aiohttp import web
from pydantic import ValidationError

from common import ids
from common.blobs import Blobs
from gateway.acceptance import Acceptance
from gateway.answers import json_answer
from gateway.batches.erase import Eraser
from gateway.batches.intake import KEPT_AT_ONCE, Intake, stretches
from gateway.batches.item import BadLine, Item
from gateway.batches.maker import Maker
from gateway.batches.models import BatchAccepted, BatchPrefix
from gateway.batches.names import blob_prefix
from gateway.batches.ports import Crypt
from gateway.batches.reader import CsvReader, JsonReader, Reader
from gateway.batches.store import BatchRow, BatchStore, Busy, Gone, OtherBody
from gateway.batches.views import status_of
from gateway.claims import idempotency_key
from gateway.database import StoreUnavailable
from gateway.fields import job_options
from gateway.form import pieces
from gateway.principal import principal_of
from gateway.problems import (
    BODY_TYPE,
    INVALID,
    JOB_DELETED,
    KEY_REUSED,
    MALFORMED,
    TOO_LARGE,
    Problem,
    invalid,
    unavailable,
)
from gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)

BATCHES = UUID("5f0e6f6c-3a5d-5c0b-8d3b-0c9a4f1e2b06")
"""Namespace of batch ids derived from an owner and an idempotency key."""

LONGEST_PREFIX = 16 * 1024

_READERS: Mapping[str, Callable[[Maker], Reader]] = {"application/x-ndjson": JsonReader, "text/csv": CsvReader}
_PREFIX = "application/json"


class SubmitBatch:
    """Takes manifests."""

    def __init__(
        self,
        *,
        store: BatchStore,
        eraser: Eraser,
        acceptance: Acceptance,
        blobs: Blobs,
        crypt: Crypt,
        wake: Callable[[], None],
        settings: GatewaySettings,
    ) -> None:
        self._store = store
        self._eraser = eraser
        self._acceptance = acceptance
        self._blobs = blobs
        self._crypt = crypt
        self._wake = wake
        self._settings = settings

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 202 with the batch, also when the same key brings the same manifest again."""
        form = request.content_type
        if form not in {*_READERS, _PREFIX}:
            raise Problem(BODY_TYPE, f"Send the manifest as {', '.join(_READERS)} or {_PREFIX}.")
        owner = principal_of(request).owner
        key = idempotency_key(request.headers.getall("Idempotency-Key", ()))
        defaults, strict = self._asked(request)
        batch = ids.derived(BATCHES, f"{owner}\0{key}") if key is not None else uuid4()
        asked = sha256(json.dumps([form, defaults, strict], sort_keys=True).encode()).hexdigest()
        opened, intake = False, None
        try:
            row, opened = await self._store.begin(batch, owner, request=asked, keyed=key is not None)
            intake = Intake(self._store, row, asked=asked, most=self._settings.batch_items, strict=strict)
            maker = self._maker(request, defaults)
            if form == _PREFIX:
                row = await self._prefix(request, maker, intake)
            else:
                body = self._body(request, self._settings.batch_bytes)
                async for items, upto, digest in stretches(body, _READERS[form](maker)):
                    await intake.add(items, upto, digest)
                row = await intake.end()
        except OtherBody:
            raise Problem(KEY_REUSED, "The first request with this Idempotency-Key had another manifest.") from None
        except Gone:
            raise Problem(JOB_DELETED, "The batch of this Idempotency-Key was deleted; use a new key.") from None
        except Busy:
            raise unavailable("Another request with this Idempotency-Key is listing the prefix just now.") from None
        except BaseException as error:
            # What is refused for what it says would be refused again, and what has no key cannot be sent again.
            refused = isinstance(error, Problem) and error.kind.status in {413, 422}
            if key is None:
                await self._forget(batch, None)
            elif refused and intake is not None and (opened or intake.kept[0]):
                await self._forget(batch, intake.kept)
            raise
        self._wake()
        log.info("batch_received", batch_id=str(batch), items=row.total, bad=row.bad)
        answer = BatchAccepted(id=batch, status=status_of(row.status), total=row.total, bad=row.bad)
        return json_answer(answer, status=202, headers={"Location": f"/v1/batches/{batch}"})

    def _asked(self, request: web.Request) -> tuple[dict[str, Any], bool]:
        """Options of every item, and whether one bad line refuses all."""
        strict = request.query.getall("strict", ["false"])
        if len(strict) > 1 or strict[0] not in {"true", "false"}:
            message = "must be true or false"
            raise Problem(INVALID, f"strict {message}.", errors=[("strict", message)])
        options = job_options((name, value) for name, value in request.query.items() if name != "strict")
        asked = {"priority": "bulk"} | options.model_dump(mode="json", exclude_unset=True)
        self._acceptance.plan(options)
        return asked, strict[0] == "true"

    def _maker(self, request: web.Request, defaults: dict[str, Any]) -> Maker:
        return Maker(
            principal_of(request),
            defaults=defaults,
            plan=self._acceptance.plan,
            crypt=self._crypt,
            allow_private=self._settings.fetch_allow_private,
        )

    async def _body(self, request: web.Request, limit: int) -> AsyncIterator[bytes]:
        if (request.content_length or 0) > limit:
            raise Problem(TOO_LARGE, f"A manifest may have at most {limit} bytes.", limit_bytes=limit)
        size = 0
        async for piece in pieces(request, stall=self._settings.upload_stall_seconds, limit=limit):
            if isinstance(piece, bytes):
                size += len(piece)
                if size > limit:
                    raise Problem(TOO_LARGE, f"A manifest may have at most {limit} bytes.", limit_bytes=limit)
                yield piece

    async def _prefix(self, request: web.Request, maker: Maker, intake: Intake) -> BatchRow:
        raw = b"".join([piece async for piece in self._body(request, LONGEST_PREFIX)])
        try:
            asked = BatchPrefix.model_validate(json.loads(raw))
            prefix = blob_prefix(principal_of(request), asked.prefix)
        except ValidationError as error:
            raise invalid(error, BatchPrefix) from None
        except (ValueError, RecursionError):
            raise Problem(MALFORMED, "The body is not JSON.") from None
        except BadLine as bad:
            raise Problem(INVALID, f"{bad}.", errors=[(bad.field, bad.message)]) from None
        # The blobs may be others by now, and come in another order, so half a listing is begun anew.
        digest = sha256(prefix.encode()).hexdigest()
        if not await intake.begin_anew(digest):
            return intake.row
        try:
            return await self._list(prefix, digest, maker, intake)
        except (OtherBody, Gone, Busy):
            raise  # The turn is another's now.
        except BaseException:
            with contextlib.suppress(StoreUnavailable):  # It ends by itself.
                await self._store.give_up_turn(intake.row.id, intake.turn)
            raise

    async def _list(self, prefix: str, digest: str, maker: Maker, intake: Intake) -> BatchRow:
        items: list[Item] = []
        number = 0
        async for found in self._blobs.list(prefix):
            number += 1
            items.append(maker.blob(number, found.name))
            if len(items) == KEPT_AT_ONCE:
                await intake.add(items, number, digest)
                items = []
        if items:
            await intake.add(items, number, digest)
        return await intake.end()

    async def _forget(self, batch: UUID, kept: tuple[int, str] | None) -> None:
        try:
            if await self._store.forget(batch, kept=kept):
                while not await self._eraser.erase_some(batch):
                    pass
        except StoreUnavailable:
            log.warning("batch_not_forgotten", batch_id=str(batch))  # Found again by its age.
