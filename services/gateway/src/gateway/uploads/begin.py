"""POST /v1/uploads: an upload is created, once for an Idempotency-Key, with bytes or of parts that are there."""

from uuid import UUID

from aiohttp import web

from common import ids
from common.events import now
from gateway.acceptance import Acceptance
from gateway.claims import idempotency_key
from gateway.principal import owner_of
from gateway.problems import JOB_DELETED, KEY_REUSED, TOO_LARGE, Problem
from gateway.routing import did
from gateway.uploads import headers
from gateway.uploads.answers import Addresses, describe_end
from gateway.uploads.creation import new_upload
from gateway.uploads.finish import Finish
from gateway.uploads.models import Finished, Upload
from gateway.uploads.receiving import Receiving
from gateway.uploads.store import UploadStore
from gateway.uploads.uploads import State, Uploads
from gateway.walls.gate import Gate
from gateway.walls.price import FREE


class Begin:
    """Creates uploads.

    Parameters
    ----------
    limit
        Bytes that an upload may have.
    """

    def __init__(
        self,
        *,
        store: UploadStore,
        uploads: Uploads,
        receiving: Receiving,
        finish: Finish,
        acceptance: Acceptance,
        gate: Gate,
        addresses: Addresses,
        limit: int,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._receiving = receiving
        self._finish = finish
        self._acceptance = acceptance
        self._gate = gate
        self._addresses = addresses
        self._limit = limit

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 201 with the upload, also when the same key brings the same request again."""
        concat = headers.concat(request)
        if concat is not None and concat.parts is not None:
            return await self._final(request, concat.parts)
        owner, key = owner_of(request), _key(request)
        length = headers.upload_length(request)
        check_length(length, self._limit)
        asked = new_upload(
            self._acceptance,
            owner=owner,
            length=length,
            described=request.headers.get("Upload-Metadata"),
            upload=key,
            kind="partial" if concat is not None else "whole",
            concat=request.headers.get("Upload-Concat"),
        )
        with_bytes = request.content_type == headers.CONTENT_TYPE
        checksum = headers.checksum(request) if with_bytes else None
        state = (await self._before(asked) if key is not None else None) or await self._create(asked)
        upload, offset = state.upload, state.offset
        room = self._limit if state.length is None else state.length
        told = {"Location": self._addresses.of(request, upload.id)}
        try:
            if with_bytes and offset == 0:  # Who asks again goes on from where the first request came.
                offset = await self._receiving.receive(request, upload, 0, room=room, checksum=checksum)
        except Exception as error:
            if key is None:
                await self._uploads.remove(upload)  # nobody was told of it
            else:
                _created(request, upload, asked)
                _tell(error, told)
            raise
        _created(request, upload, asked)
        told["Upload-Offset"] = str(offset)
        try:
            finished = await self._end(request, upload, offset) if offset == state.length else None
        except Problem as problem:
            _tell(problem, told)
            raise
        return describe_end(web.Response(status=201, headers=told), upload, finished, self._uploads.expires(now()))

    async def _before(self, asked: Upload) -> State | None:
        """The upload of the same key; a problem when it was another, or is no more."""
        if self._acceptance.deleted(asked.job_id):
            raise Problem(JOB_DELETED, "The job of this Idempotency-Key was deleted; use a new key.")
        found = await self._store.find(asked.owner, asked.id)
        return None if found is None else await self._uploads.state(_same(found, asked).owner, asked.id)

    async def _create(self, asked: Upload) -> State:
        if not asked.hold:  # for a batch, which waits until there is room
            price = self._gate.price(asked.options, asked.plan) if asked.plan is not None else FREE
            await self._gate.check(asked.owner, price)
        upload = _same(await self._store.create(asked), asked)
        return State(upload, 0, upload.length, self._uploads.expires(upload.created_at), None)

    async def _final(self, request: web.Request, parts: tuple[UUID, ...]) -> web.Response:
        owner, key, described = owner_of(request), _key(request), request.headers.get("Upload-Metadata")
        # Derived, so that a client that got no answer and asks again makes one job, not two.
        upload_id = key or ids.derived(ids.UPLOADS, f"{owner}\0{described}\0{' '.join(map(str, parts))}")
        upload = await self._store.find(owner, upload_id)
        if upload is None:
            found = await self._finish.parts(owner, parts)
            length = sum([await self._store.length(part) or 0 for part in found])
            check_length(length, self._limit)
            asked = new_upload(
                self._acceptance,
                owner=owner,
                length=length,
                described=described,
                upload=upload_id,
                kind="final",
                parts=parts,
                concat=request.headers["Upload-Concat"],
            )
            if key is not None and self._acceptance.deleted(asked.job_id):
                raise Problem(JOB_DELETED, "The job of this Idempotency-Key was deleted; use a new key.")
            upload = await self._store.create(asked)
            _created(request, upload, asked)
        if (upload.parts, upload.metadata) != (parts, described):
            raise _reused()
        finished = await self._end(request, upload, upload.length or 0)
        for part in parts:
            if (spent := await self._store.find(owner, part)) is not None:
                await self._uploads.remove(spent)
        answer = web.Response(status=201, headers={"Location": self._addresses.of(request, upload.id)})
        return describe_end(answer, upload, finished, self._uploads.expires(now()))

    async def _end(self, request: web.Request, upload: Upload, size: int) -> Finished:
        return await self._finish(upload, size, made=lambda made: did(request, "job.submitted", made.job_id))


def check_length(length: int | None, limit: int) -> None:
    """Raise a 413 problem when that is more bytes than an upload may have."""
    if length is not None and length > limit:
        raise Problem(TOO_LARGE, f"A file may have at most {limit} bytes.", limit_bytes=limit)


def _key(request: web.Request) -> UUID | None:
    """The id of the upload that an Idempotency-Key stands for: creating it twice is creating it once."""
    key = idempotency_key(request.headers.getall("Idempotency-Key", ()))
    return None if key is None else ids.derived(ids.UPLOADS, f"{owner_of(request)}\0\0\0{key}")


def _same(found: Upload, asked: Upload) -> Upload:
    if (found.length, found.metadata, found.concat) != (asked.length, asked.metadata, asked.concat):
        raise _reused()
    return found


def _created(request: web.Request, upload: Upload, asked: Upload) -> None:
    if upload is asked:
        did(request, "upload.created", upload.id)


def _tell(error: Exception, told: dict[str, str]) -> None:
    if isinstance(error, Problem):
        error.headers = {**(error.headers or {}), **told}


def _reused() -> Problem:
    return Problem(
        KEY_REUSED, "The first request with this Idempotency-Key had another Upload-Length, -Metadata or -Concat."
    )
