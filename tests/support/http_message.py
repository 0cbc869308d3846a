"""Whole HTTP/1.1 messages as they lie on the wire, for a proxy that must know where one ends."""

import asyncio
from email.message import Message
from email.parser import BytesHeaderParser


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The bytes of the next request; none when the client is gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    return head + await _body(reader, _fields(head))


async def read_answer(reader: asyncio.StreamReader, request: bytes) -> bytes:
    """The bytes of the answer to a request, without interim ones.

    Raises
    ------
    asyncio.IncompleteReadError
        The server went away in the midst of it.
    """
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        if status >= 200:
            break
    if request.startswith(b"HEAD ") or status in {204, 304}:
        return head
    fields = _fields(head)
    if "content-length" in fields or "transfer-encoding" in fields:
        return head + await _body(reader, fields)
    return head + await reader.read()


def _fields(head: bytes) -> Message:
    return BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2])


async def _body(reader: asyncio.StreamReader, fields: Message) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", "").lower():
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        body += size
        length = int(size.split(b";")[0], 16)
        # After the last chunk come the trailer's lines, and an empty one.
        if length == 0:
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                body += line
            return body + line
        body += await reader.readexactly(length + 2)
