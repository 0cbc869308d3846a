"""Jobs: submit, show, list, cancel, delete, transcripts, webhooks."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote
from uuid import uuid4

from scribewire.caller import Caller, json_of
from scribewire.errors import FileChanged
from scribewire.flow import Body, Flow, Request, Work
from scribewire.models import Job, JobPage
from scribewire.signature import Signature

CHUNK = 1 << 20
Sent = Callable[[int], None]
"""Told the number of bytes sent so far."""


def nothing(_: int) -> None:
    """Nobody wants to know how far it is."""


def submit(
    caller: Caller,
    media: Path | bytes,
    options: Mapping[str, Any] | None,
    *,
    filename: str | None,
    idempotency_key: str | None,
    sent: Sent,
) -> Flow[Job]:
    """A file or bytes as a new job, in one request."""
    like: Signature | None = None
    if isinstance(media, Path):
        like = yield from signature_of(media)
    size = like.size if like else len(cast("bytes", media))
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
        "Idempotency-Key": idempotency_key or str(uuid4()),
    }
    if name := filename or (media.name if isinstance(media, Path) else None):
        headers["X-Filename"] = quote(name, errors="replace")
    body = content(media, sent, like=like)
    request = Request(method="POST", path="/v1/jobs", params=dict(options or {}), headers=headers, body=body)
    return cast("Job", json_of((yield from caller.send(request))))


def submit_url(
    caller: Caller, url: str, options: Mapping[str, Any] | None, *, idempotency_key: str | None
) -> Flow[Job]:
    """An address as a new job; the platform fetches it."""
    document = {"url": url} | ({"options": dict(options)} if options else {})
    headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
    request = Request(method="POST", path="/v1/jobs", headers=headers, document=document)
    return cast("Job", json_of((yield from caller.send(request))))


def show(caller: Caller, job_id: str) -> Flow[Job]:
    """A job."""
    return cast("Job", json_of((yield from caller.send(_job("GET", job_id)))))


def page(caller: Caller, *, limit: int, status: str | None, cursor: str | None) -> Flow[JobPage]:
    """One page of jobs."""
    params = {"limit": limit, "status": status, "cursor": cursor}
    request = Request(method="GET", path="/v1/jobs", params={k: v for k, v in params.items() if v is not None})
    return cast("JobPage", json_of((yield from caller.send(request))))


def cancel(caller: Caller, job_id: str) -> Flow[Job]:
    """Cancel a job."""
    return cast("Job", json_of((yield from caller.send(_job("POST", job_id, "/cancel")))))


def delete(caller: Caller, job_id: str) -> Flow[None]:
    """Erase a job."""
    yield from caller.send(_job("DELETE", job_id))


def transcript(caller: Caller, job_id: str, *, format: str, language: str | None) -> Flow[bytes]:  # noqa: A002
    """A finished job's transcript."""
    params = {"format": format} | ({"language": language} if language else {})
    return (yield from caller.send(_job("GET", job_id, "/transcript", params))).content


def audio(caller: Caller, job_id: str, into: BinaryIO) -> Flow[None]:
    """The audio that a job stored beside its original."""
    yield from caller.send(replace(_job("GET", job_id, "/audio"), into=into))


def add_webhook(caller: Caller, url: str, events: Sequence[str] | None) -> Flow[dict[str, Any]]:
    """Register an address."""
    document = {"url": url} | ({"events": list(events)} if events else {})
    request = Request(method="POST", path="/v1/webhooks", document=document, repeatable=False)
    return cast("dict[str, Any]", json_of((yield from caller.send(request))))


def signature_of(file: Path) -> Flow[Signature]:
    """A file as it is now."""
    found: Signature = yield Work(lambda: Signature.of(file.stat()))
    return found


def content(media: Path | bytes, sent: Sent, *, like: Signature | None = None, start: int = 0) -> Body:
    """The bytes of a file, or bytes, from an offset on.

    Parameters
    ----------
    like
        The file of which the gateway was told. One that is another when it is opened, which is done anew each time
        its bytes are sent again, or when its last bytes are read raises `FileChanged`, and the request ends without
        them: half a file that is just being written, or two files joined, are never taken for a whole one.
    """
    if isinstance(media, bytes):
        return lambda: _told(_pieces(media, start), sent, start)
    return lambda: _told(_read(media, like, start), sent, start)


def _told(chunks: Iterator[bytes], sent: Sent, done: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        sent(done)


def _pieces(media: bytes, start: int) -> Iterator[bytes]:
    for at in range(start, len(media), CHUNK):
        yield media[at : at + CHUNK]


def _read(file: Path, like: Signature | None, done: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        _check(stream, like)
        stream.seek(done)
        while chunk := stream.read(CHUNK):
            done += len(chunk)
            if like is not None and done >= like.size:
                _check(stream, like)
            yield chunk
    if like is not None and done != like.size:
        raise FileChanged


def _check(stream: BinaryIO, like: Signature | None) -> None:
    if like is not None and Signature.of(os.fstat(stream.fileno())) != like:
        raise FileChanged


def _job(method: str, job_id: str, rest: str = "", params: Mapping[str, Any] | None = None) -> Request:
    # An id is one part of the path, whatever is in it.
    return Request(method=method, path=f"/v1/jobs/{quote(job_id, safe='')}{rest}", params=params)
