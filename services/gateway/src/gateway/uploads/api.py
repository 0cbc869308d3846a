"""tus 1.0 over HTTP: one handler for every method, as a header may name another than the request line."""

from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

from aiohttp import web

from common import ids
from common.events import now
from gateway.acceptance import Acceptance
from gateway.encoding import refuse_encoded
from gateway.principal import owner_of
from gateway.problems import EMPTY_FILE, MALFORMED, METHOD_NOT_ALLOWED, NOT_FOUND, TOO_LARGE, Problem, answer_problems
from gateway.uploads import headers
from gateway.uploads.creation import new_upload
from gateway.uploads.finish import Finish
from gateway.uploads.models import Finished, Upload
from gateway.uploads.problems import CONTENT_TYPE_NOT_SUPPORTED, OFFSET_MISMATCH, UPLOAD_IS_FINAL
from gateway.uploads.receiving import Receiving
from gateway.uploads.store import UploadStore
from gateway.uploads.uploads import State, Uploads
from gateway.walls.gate import Gate
from gateway.walls.price import FREE


class Tus:
    """Answers every request to an address of uploads.

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
        limit: int,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._receiving = receiving
        self._finish = finish
        self._acceptance = acceptance
        self._gate = gate
        self._limit = limit

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer, also a problem, with ``Tus-Resumable``."""
        response = await answer_problems(request, self._answer)
        response.headers["Tus-Resumable"] = headers.VERSION
        return response

    async def options(self, request: web.Request) -> web.Response:
        """What is spoken here."""
        _id(request)
        return web.Response(
            status=204,
            headers={
                "Tus-Resumable": headers.VERSION,
                "Tus-Version": headers.VERSION,
                "Tus-Extension": headers.EXTENSIONS,
                "Tus-Max-Size": str(self._limit),
                "Tus-Checksum-Algorithm": ",".join(headers.ALGORITHMS),
            },
        )

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.headers.get("X-HTTP-Method-Override", request.method).upper()
        if method == "OPTIONS":
            return await self.options(request)
        upload = _id(request)
        headers.check_version(request)
        refuse_encoded(request)
        if upload is None:
            if method != "POST":
                raise Problem(METHOD_NOT_ALLOWED, "Create an upload with POST.", headers={"Allow": "OPTIONS,POST"})
            return await self._create(request)
        state = await self._uploads.state(owner_of(request), upload)
        if method == "HEAD":
            return await self._head(request, state)
        if method == "PATCH":
            return await self._patch(request, state)
        if method == "DELETE":
            await self._uploads.remove(state.upload)
            return web.Response(status=204)
        raise Problem(METHOD_NOT_ALLOWED, "See /openapi.json.", headers={"Allow": "DELETE,HEAD,OPTIONS,PATCH"})

    async def _create(self, request: web.Request) -> web.Response:
        owner, described = owner_of(request), request.headers.get("Upload-Metadata")
        concat = headers.concat(request)
        if concat is not None and concat.parts is not None:
            return await self._create_final(request, owner, concat.parts, described)
        length = headers.upload_length(request)
        self._check_length(length)
        kind = "partial" if concat is not None else "whole"
        upload = new_upload(
            self._acceptance,
            owner=owner,
            length=length,
            described=described,
            kind=kind,
            concat=request.headers.get("Upload-Concat"),
        )
        if not upload.hold:  # for a batch, which waits until there is room
            price = self._gate.price(upload.options, upload.plan) if upload.plan is not None else FREE
            await self._gate.check(owner, price)
        with_bytes = request.content_type == headers.CONTENT_TYPE
        checksum = headers.checksum(request) if with_bytes else None
        await self._store.create(upload)
        offset = 0
        if with_bytes:
            try:
                room = self._limit if length is None else length
                offset = await self._receiving.receive(request, upload, 0, room=room, checksum=checksum)
            except Exception:
                await self._uploads.remove(upload)  # nobody was told of it
                raise
        told = {"Location": _address(request, upload.id), "Upload-Offset": str(offset)}
        try:
            finished = await self._finish(upload, offset) if offset == length else None
        except Problem as problem:
            problem.headers = {**(problem.headers or {}), **told}
            raise
        return self._describe_end(web.Response(status=201, headers=told), upload, finished)

    async def _create_final(
        self, request: web.Request, owner: str, parts: tuple[UUID, ...], described: str | None
    ) -> web.Response:
        # Derived, so that a client that got no answer and asks again makes one job, not two.
        upload_id = ids.derived(ids.UPLOADS, f"{owner}\0{described}\0{' '.join(map(str, parts))}")
        upload = await self._store.find(owner, upload_id)
        if upload is None:
            found = await self._finish.parts(owner, parts)
            length = sum([await self._store.length(part) or 0 for part in found])
            self._check_length(length)
            upload = await self._store.create(
                new_upload(
                    self._acceptance,
                    owner=owner,
                    length=length,
                    described=described,
                    upload=upload_id,
                    kind="final",
                    parts=parts,
                    concat=request.headers["Upload-Concat"],
                )
            )
        finished = await self._finish(upload, upload.length or 0)
        for part in parts:
            if (spent := await self._store.find(owner, part)) is not None:
                await self._uploads.remove(spent)
        answer = web.Response(status=201, headers={"Location": _address(request, upload.id)})
        return self._describe_end(answer, upload, finished)

    async def _head(self, request: web.Request, state: State) -> web.Response:
        finished = await self._uploads.finish(state)
        upload = state.upload
        answer = web.Response(headers={"Upload-Offset": str(state.offset), "Cache-Control": "no-store"})
        if state.length is not None:
            answer.headers["Upload-Length"] = str(state.length)
        else:
            answer.headers["Upload-Defer-Length"] = "1"
        if upload.metadata:
            answer.headers["Upload-Metadata"] = upload.metadata
        if upload.concat:
            answer.headers["Upload-Concat"] = upload.concat
        answer.headers["Upload-Expires"] = _date(state.expires)
        return self._describe_end(answer, upload, finished)

    async def _patch(self, request: web.Request, state: State) -> web.Response:
        upload = state.upload
        if upload.kind == "final":
            raise Problem(UPLOAD_IS_FINAL, "It is made of partial uploads and takes no bytes.")
        if request.content_type != headers.CONTENT_TYPE:
            raise Problem(CONTENT_TYPE_NOT_SUPPORTED, f"Send the bytes as 'Content-Type: {headers.CONTENT_TYPE}'.")
        offset = headers.number(request, "Upload-Offset")
        if offset is None:
            raise Problem(MALFORMED, "Upload-Offset is missing.")
        checksum = headers.checksum(request)
        if offset != state.offset:
            detail = f"There are {state.offset} bytes; go on from there."
            raise Problem(OFFSET_MISMATCH, detail, upload_offset=state.offset)
        length = await self._length(request, state)
        room = (self._limit if length is None else length) - offset
        if not state.complete:
            offset = await self._receiving.receive(request, upload, offset, room=room, checksum=checksum)
        elif request.content_length:
            raise Problem(TOO_LARGE, "All bytes are here.", limit_bytes=0)
        finished = await self._finish(upload, offset) if offset == length else None
        answer = web.Response(status=204, headers={"Upload-Offset": str(offset)})
        return self._describe_end(answer, upload, finished)

    async def _length(self, request: web.Request, state: State) -> int | None:
        """How long it will be, which a PATCH may be the first to say."""
        said = headers.number(request, "Upload-Length")
        if said is None or said == state.length:
            return state.length
        if state.length is None and said >= state.offset:
            self._check_length(said)
            if said == 0 and state.upload.kind != "partial":
                raise Problem(EMPTY_FILE, "A recording has at least one byte.")
            if await self._store.say_length(state.upload, said) == said:
                return said
        raise Problem(MALFORMED, "Upload-Length is another than was said, or less than is there.")

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self._limit:
            raise Problem(TOO_LARGE, f"A file may have at most {self._limit} bytes.", limit_bytes=self._limit)

    def _describe_end(self, answer: web.Response, upload: Upload, finished: Finished | None) -> web.Response:
        if finished is None:
            answer.headers.setdefault("Upload-Expires", _date(self._uploads.expires(now())))
        elif finished.event is not None:
            answer.headers["Scribewire-Job"] = str(upload.job_id)
            answer.headers.popall("Upload-Expires", None)
        return answer


def _id(request: web.Request) -> UUID | None:
    """The upload that the address names; a 404 problem when it can be none's."""
    try:
        return UUID(request.match_info["id"]) if "id" in request.match_info else None
    except ValueError:
        raise Problem(NOT_FOUND, "There is no such upload.") from None


def _address(request: web.Request, upload: UUID) -> str:
    """An absolute address: some clients cannot go on from a relative one."""
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    return f"{scheme if scheme in {'http', 'https'} else request.scheme}://{request.host}/v1/uploads/{upload}"


def _date(when: datetime) -> str:
    return format_datetime(when.astimezone(UTC), usegmt=True)
