"""tus 1.0 as the fake gateway speaks it: strict about headers and offsets, and cut, forgotten or wrong when told to."""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import web

from common.options import JobOptions
from support.waiting import eventually

HEADERS = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}


@dataclass
class Upload:
    """One upload."""

    length: int
    metadata: dict[str, str]
    content: bytearray
    job: str = ""


class Uploads:
    """The uploads at `/v1/uploads`.

    Parameters
    ----------
    whole
        Makes content, name and options a job and gives its id.
    """

    def __init__(self, whole: Callable[[bytes, str | None, JobOptions], str]) -> None:
        self._whole = whole
        self.uploads: dict[str, Upload] = {}
        self.cut_at: list[int] = []
        """At each of these sizes of an upload, once, the connection is cut."""
        self.hold_at: int | None = None
        """An upload that has so many bytes is read no further until this is None."""
        self.silent = 0
        """So many uploads are completed without an answer."""
        self.location = "/v1/uploads/"
        """What a new upload's address begins with."""
        self.received = 0
        """Bytes taken in all."""

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.post("/v1/uploads", self._create),
            web.head("/v1/uploads/{id}", self._head),
            web.patch("/v1/uploads/{id}", self._patch),
        ]

    def forget(self) -> None:
        """Every upload expires."""
        self.uploads.clear()

    async def _create(self, request: web.Request) -> web.Response:
        if request.headers.get("Tus-Resumable") != "1.0.0":
            return web.Response(status=412, headers=HEADERS)
        pairs = [pair.partition(" ") for pair in request.headers["Upload-Metadata"].split(",")]
        metadata = {name: b64decode(value, validate=True).decode() for name, _, value in pairs}
        JobOptions(**json.loads(metadata["options"]))
        upload_id = str(uuid4())
        self.uploads[upload_id] = Upload(int(request.headers["Upload-Length"]), metadata, bytearray())
        return web.Response(status=201, headers=HEADERS | {"Location": f"{self.location}{upload_id}"})

    async def _head(self, request: web.Request) -> web.Response:
        upload = self.uploads.get(request.match_info["id"])
        if upload is None:
            return web.Response(status=404, headers=HEADERS)
        return web.Response(status=200, headers=self._state(upload) | {"Upload-Length": str(upload.length)})

    async def _patch(self, request: web.Request) -> web.Response:
        upload = self.uploads.get(request.match_info["id"])
        if upload is None:
            return web.Response(status=404, headers=HEADERS)
        if request.content_type != "application/offset+octet-stream":
            return web.Response(status=415, headers=HEADERS)
        if int(request.headers["Upload-Offset"]) != len(upload.content):
            return web.Response(status=409, headers=self._state(upload))
        if self._cut(upload):
            return self._abort(request)
        async for chunk in request.content.iter_chunked(65536):
            upload.content += chunk
            self.received += len(chunk)
            if self._cut(upload):
                return self._abort(request)
            if self.hold_at is not None and len(upload.content) >= self.hold_at:
                await eventually(lambda: self.hold_at is None)
        if len(upload.content) == upload.length and not upload.job and "hold" not in upload.metadata:
            options = JobOptions(**json.loads(upload.metadata["options"]))
            upload.job = self._whole(bytes(upload.content), upload.metadata["filename"], options)
            if self.silent:
                self.silent -= 1
                return self._abort(request)
        return web.Response(status=204, headers=self._state(upload))

    def _cut(self, upload: Upload) -> bool:
        return bool(self.cut_at) and len(upload.content) >= self.cut_at[0] and self.cut_at.pop(0) >= 0

    def _abort(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _state(self, upload: Upload) -> dict[str, str]:
        return {
            **HEADERS,
            "Upload-Offset": str(len(upload.content)),
            **({"Scribewire-Job": upload.job} if upload.job else {}),
        }
