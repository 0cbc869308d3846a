"""A request's body as it streams in, multipart or raw, as pieces: the file's head, its bytes, and fields."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from gateway.expect import go_on
from gateway.problems import INVALID, MALFORMED, NO_FILE, STALLED, TOO_LARGE, Problem

LONGEST_FIELD = 16 * 1024
LONGEST_FIELDS = 64 * 1024
"""All fields of a form together, for they are held until its end: a few times what the options can need."""

LONGEST_START = 64 * 1024
"""Bytes before the first part's content: junk that nobody has to send, and a head."""

LONGEST_BOUNDARY = 70
"""As RFC 2046 has it; a search for a long one can be made to cost its length for every byte."""

MOST_PARTS = 400
SLOWEST = 256
"""Bytes per second, over the time of a stall, below which an upload is given up: slower than any speech codec."""

MULTIPART_ROOM = 1024 * 1024
"""Bytes a multipart body may have beside its file: boundaries, heads, fields, preamble."""

_ENCODED_FILENAME = re.compile(r";\s*filename\*=utf-8'[^']*'([^;\s]+)", re.IGNORECASE)


@dataclass(frozen=True)
class FileHead:
    """A file begins; the bytes that follow are its own. Name and type are as the client sent them."""

    filename: str | None
    content_type: str | None


@dataclass(frozen=True)
class FormField:
    """One field of a form."""

    name: str
    value: str


Piece = FileHead | FormField | bytes


def pieces(request: web.Request, *, stall: float, limit: int) -> AsyncIterator[Piece]:
    """The pieces of a request's body, in the order they come.

    Parameters
    ----------
    request
        A request whose body was not read yet: ``multipart/form-data``, or anything else for a raw file.
    stall
        Seconds of silence after which a 408 problem is raised.
    limit
        Bytes a file may have; the whole body may have `MULTIPART_ROOM` more.

    Raises
    ------
    Problem
        400 when the body is not what it says or ends too early, 408, 413, or 422 when a form has two files.
    ConnectionError
        When the client is gone.
    """
    chunks = _chunks(request, stall=stall, limit=limit + MULTIPART_ROOM)
    kind, parameters = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != "multipart/form-data":
        return _raw(request, chunks, kind)
    return _multipart(chunks, parameters.get("boundary", ""))


async def _chunks(request: web.Request, *, stall: float, limit: int) -> AsyncIterator[bytes]:
    await go_on(request)
    incoming = request.content.iter_any()
    received = lately = 0
    waited = 0.0
    while True:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(stall):
                chunk = await anext(incoming, b"")
        except TimeoutError:
            raise Problem(STALLED, f"Nothing came for {stall:.0f} seconds.", headers={"Connection": "close"}) from None
        except (aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError) as error:
            raise Problem(MALFORMED, "The body ended early or is not encoded as its head says.") from error
        if not chunk:
            return
        received, lately = received + len(chunk), lately + len(chunk)
        waited += time.monotonic() - begun  # For the client only: a slow store of ours is not its fault.
        if waited >= stall:
            if lately < SLOWEST * waited:
                raise Problem(STALLED, f"Less than {SLOWEST} bytes came in a second.", headers={"Connection": "close"})
            lately, waited = 0, 0.0
        if received > limit:
            raise Problem(TOO_LARGE, "The body is larger than a file may be.")
        yield chunk


async def _raw(request: web.Request, chunks: AsyncIterator[bytes], kind: str) -> AsyncIterator[Piece]:
    name = request.headers.get("X-Filename")
    yield FileHead(unquote(name, errors="replace") if name is not None else None, kind or None)
    async for chunk in chunks:
        yield chunk


async def _multipart(chunks: AsyncIterator[bytes], boundary: str) -> AsyncIterator[Piece]:
    files = length = together = before = 0
    head: FileHead | None = None
    field: list[bytes] = []
    name = ""
    begun = False
    if len(boundary) > LONGEST_BOUNDARY:
        raise Problem(MALFORMED, f"A boundary has at most {LONGEST_BOUNDARY} characters.")
    try:
        parser = PushMultipartParser(boundary, max_segment_count=MOST_PARTS)
        async for chunk in chunks:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    name, field, length, begun = event.name or "", [], 0, True
                    head = _file_head(event)
                    if head is not None:
                        files += 1
                        if files > 1:
                            raise Problem(NO_FILE, "Send one file in a request.", errors=[(name, "second file")])
                        yield head
                elif event is None:
                    if head is None:
                        yield FormField(name, b"".join(field).decode())
                elif head is not None:
                    yield event
                else:
                    field.append(event)
                    length, together = length + len(event), together + len(event)
                    if length > LONGEST_FIELD or together > LONGEST_FIELDS:
                        raise Problem(
                            TOO_LARGE, f"The field '{name[:100]}' is too long.", errors=[(name[:100], "too long")]
                        )
            if not begun:
                before += len(chunk)
                if before > LONGEST_START:
                    raise Problem(MALFORMED, f"No part begins in the first {LONGEST_START} bytes.")
        parser.close()
    except MultipartError as error:
        # The first argument is for people, any other is Python's.
        raise Problem(MALFORMED, f"The multipart body is broken: {error.args[0]}.") from error
    except UnicodeDecodeError as error:
        raise Problem(MALFORMED, f"The field '{name[:100]}' is not UTF-8.") from error


def _file_head(segment: MultipartSegment) -> FileHead | None:
    filename = _encoded_filename(segment) or segment.filename
    if segment.name == "file":
        return FileHead(filename, segment.content_type)
    if filename is None:
        return None
    name = (segment.name or "")[:100]
    message = "is a file, and the file is the part named 'file'"
    raise Problem(INVALID, f"The part '{name}' {message}.", errors=[(name or "body", message)])


def _encoded_filename(segment: MultipartSegment) -> str | None:
    """The name in ``filename*``, which forms should not have (RFC 7578), yet some clients write."""
    found = _ENCODED_FILENAME.search(segment.header("Content-Disposition", ""))
    return unquote(found[1], errors="replace") if found else None
