"""tus 1.0 over HTTP: one handler for every method, as a header may name another than the request line."""

from uuid import UUID

from aiohttp import web

from common.events import now
from gateway.encoding import refuse_encoded
from gateway.principal import owner_of
from gateway.problems import EMPTY_FILE, MALFORMED, METHOD_NOT_ALLOWED, NOT_FOUND, TOO_LARGE, Problem, answer_problems
from gateway.routing import did
from gateway.uploads import headers
from gateway.uploads.answers import date, describe_end
from gateway.uploads.begin import Begin, check_length
from gateway.uploads.finish import Finish
from gateway.uploads.models import Finished, Upload
from gateway.uploads.problems import CONTENT_TYPE_NOT_SUPPORTED, OFFSET_MISMATCH, UPLOAD_IS_FINAL
from gateway.uploads.receiving import Receiving
from gateway.uploads.store import UploadStore
from gateway.uploads.uploads import State, Uploads


class Tus:
    """Answers every request to an address of uploads.

    Parameters
    ----------
    limit
        Bytes that an upload may have.
    """

    def __init__(
        self, *, begin: Begin, store: UploadStore, uploads: Uploads, receiving: Receiving, finish: Finish, limit: int
    ) -> None:
        self._begin = begin
        self._store = store
        self._uploads = uploads
        self._receiving = receiving
        self._finish = finish
        self._limit = limit

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer; a problem as well, for what was done before it is noted all the same."""
        return await answer_problems(request, self._answer)

    async def options(self, request: web.Request) -> web.Response:
        """What is spoken here."""
        _id(request)
        return web.Response(
            status=204,
            headers={
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
            return await self._begin(request)
        state = await self._uploads.state(owner_of(request), upload)
        if method == "HEAD":
            return await self._head(request, state)
        if method == "PATCH":
            return await self._patch(request, state)
        if method == "DELETE":
            await self._uploads.remove(state.upload)
            did(request, "upload.removed", upload)
            return web.Response(status=204)
        raise Problem(METHOD_NOT_ALLOWED, "See /openapi.json.", headers={"Allow": "DELETE,HEAD,OPTIONS,PATCH"})

    async def _head(self, request: web.Request, state: State) -> web.Response:
        finished = await self._end(request, state.upload, state.offset) if state.complete else None
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
        answer.headers["Upload-Expires"] = date(state.expires)
        return describe_end(answer, upload, finished, self._uploads.expires(now()))

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
        finished = await self._end(request, upload, offset) if offset == length else None
        answer = web.Response(status=204, headers={"Upload-Offset": str(offset)})
        return describe_end(answer, upload, finished, self._uploads.expires(now()))

    async def _end(self, request: web.Request, upload: Upload, size: int) -> Finished:
        return await self._finish(upload, size, made=lambda made: did(request, "job.submitted", made.job_id))

    async def _length(self, request: web.Request, state: State) -> int | None:
        """How long it will be, which a PATCH may be the first to say."""
        said = headers.number(request, "Upload-Length")
        if said is None or said == state.length:
            return state.length
        if state.length is None and said >= state.offset:
            check_length(said, self._limit)
            if said == 0 and state.upload.kind != "partial":
                raise Problem(EMPTY_FILE, "A recording has at least one byte.")
            if await self._store.say_length(state.upload, said) == said:
                return said
        raise Problem(MALFORMED, "Upload-Length is another than was said, or less than is there.")


def _id(request: web.Request) -> UUID | None:
    """The upload that the address names; a 404 problem when it can be none's."""
    try:
        return UUID(request.match_info["id"]) if "id" in request.match_info else None
    except ValueError:
        raise Problem(NOT_FOUND, "There is no such upload.") from None
