"""Batches: many items in one manifest."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import quote
from uuid import uuid4

from scribewire.caller import Caller, json_of
from scribewire.flow import Flow, Request, Work
from scribewire.models import Batch, BatchPage, ItemPage
from scribewire.verbs.jobs import Sent, content

Manifest = Literal["ndjson", "csv"]

MEDIA_TYPES: Mapping[Manifest, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


def kind_of(manifest: Path | bytes) -> Manifest:
    """What a manifest is written in: what its name says, otherwise what its first letter does."""
    if isinstance(manifest, Path):
        if manifest.suffix.lower() in {".ndjson", ".jsonl", ".json"}:
            return "ndjson"
        if manifest.suffix.lower() == ".csv":
            return "csv"
        with manifest.open("rb") as stream:
            head = stream.read(1024)
    else:
        head = manifest[:1024]
    return "ndjson" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"


def submit(
    caller: Caller,
    manifest: Path | bytes,
    *,
    kind: Manifest | None,
    options: Mapping[str, Any] | None,
    strict: bool,
    idempotency_key: str | None,
    sent: Sent,
) -> Flow[Batch]:
    """A manifest as a new batch, streamed."""
    found: Manifest = kind or (yield Work(lambda: kind_of(manifest)))
    request = Request(
        method="POST",
        path="/v1/batches",
        params=dict(options or {}) | ({"strict": "true"} if strict else {}),
        headers={"Content-Type": MEDIA_TYPES[found], "Idempotency-Key": idempotency_key or str(uuid4())},
        body=content(manifest, sent),
    )
    return cast("Batch", json_of((yield from caller.send(request))))


def submit_prefix(
    caller: Caller, prefix: str, options: Mapping[str, Any] | None, idempotency_key: str | None
) -> Flow[Batch]:
    """Every blob below a prefix as a new batch."""
    request = Request(
        method="POST",
        path="/v1/batches",
        params=dict(options or {}),
        headers={"Idempotency-Key": idempotency_key or str(uuid4())},
        document={"prefix": prefix},
    )
    return cast("Batch", json_of((yield from caller.send(request))))


def page(caller: Caller, cursor: str | None) -> Flow[BatchPage]:
    """One page of batches."""
    params = {"limit": 100} | ({"cursor": cursor} if cursor else {})
    request = Request(method="GET", path="/v1/batches", params=params)
    return cast("BatchPage", json_of((yield from caller.send(request))))


def report(caller: Caller, batch_id: str, into: BinaryIO) -> Flow[None]:
    """Every item and its outcome as CSV."""
    yield from caller.send(replace(_batch("GET", batch_id, "/report"), into=into))


def show(caller: Caller, batch_id: str) -> Flow[Batch]:
    """A batch."""
    return cast("Batch", json_of((yield from caller.send(_batch("GET", batch_id)))))


def items(caller: Caller, batch_id: str, *, status: str | None, cursor: str | None) -> Flow[ItemPage]:
    """One page of a batch's items."""
    params = {"limit": 1000} | {name: value for name, value in (("status", status), ("cursor", cursor)) if value}
    return cast("ItemPage", json_of((yield from caller.send(_batch("GET", batch_id, "/items", params)))))


def retry(caller: Caller, batch_id: str) -> Flow[Batch]:
    """Try what failed again, and only that."""
    return cast("Batch", json_of((yield from caller.send(_batch("POST", batch_id, "/retry")))))


def cancel(caller: Caller, batch_id: str) -> Flow[Batch]:
    """Cancel what has not ended."""
    return cast("Batch", json_of((yield from caller.send(_batch("POST", batch_id, "/cancel")))))


def delete(caller: Caller, batch_id: str) -> Flow[None]:
    """Forget a batch."""
    yield from caller.send(_batch("DELETE", batch_id))


def _batch(method: str, batch_id: str, rest: str = "", params: Mapping[str, Any] | None = None) -> Request:
    return Request(method=method, path=f"/v1/batches/{quote(batch_id, safe='')}{rest}", params=params)
