"""What the tus protocol says in headers, read with care: a problem names the header and what it must be."""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import md5, sha1, sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web

from gateway.problems import INVALID, MALFORMED, Problem
from gateway.uploads.problems import VERSION_NOT_SUPPORTED

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
ALGORITHMS = {"sha1": sha1, "sha256": sha256, "md5": md5}
PATH = "/v1/uploads"
CONTENT_TYPE = "application/offset+octet-stream"

_NUMBER = re.compile(r"[0-9]{1,15}")


def mark(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Have every answer about uploads say the version, also one that was given before it came to them."""
    if request.path.startswith(PATH):
        response.headers["Tus-Resumable"] = VERSION


def check_version(request: web.Request) -> None:
    """Raise a 412 problem when the request speaks another version of tus, or does not say which."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise Problem(VERSION_NOT_SUPPORTED, f"Send 'Tus-Resumable: {VERSION}'.", headers={"Tus-Version": VERSION})


def number(request: web.Request, name: str) -> int | None:
    """A header that is a whole number from 0 on, or None when it is not there."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Problem(MALFORMED, f"{name} must be a whole number that is not negative.")
    return int(text)


def upload_length(request: web.Request) -> int | None:
    """``Upload-Length``, or None where ``Upload-Defer-Length`` says that it comes later."""
    length = number(request, "Upload-Length")
    deferred = request.headers.get("Upload-Defer-Length")
    if deferred not in {None, "1"}:
        raise Problem(MALFORMED, "Upload-Defer-Length can only be 1.")
    if (length is None) == (deferred is None):
        raise Problem(MALFORMED, "Send either Upload-Length or 'Upload-Defer-Length: 1'.")
    return length


def _ascii(name: str, text: str) -> str:
    # aiohttp hands on bytes that are no UTF-8 as lone surrogates, which nothing can store.
    if not text.isascii():
        raise Problem(MALFORMED, f"{name} must be ASCII.")
    return text


def metadata(text: str) -> dict[str, bytes | None]:
    """The pairs of ``Upload-Metadata``; None for a name without a value."""
    found: dict[str, bytes | None] = {}
    for pair in _ascii("Upload-Metadata", text).split(","):
        if not pair.strip():
            continue
        name, *value = pair.split()
        if name in found:
            raise Problem(MALFORMED, f"Upload-Metadata names '{name[:100]}' twice.")
        if len(value) > 1:
            raise Problem(MALFORMED, "Upload-Metadata is names, each with a space and its value in Base64, and commas.")
        try:
            found[name] = base64.b64decode(value[0], validate=True) if value else None
        except (binascii.Error, ValueError):
            raise Problem(MALFORMED, f"In Upload-Metadata the value of '{name[:100]}' is not Base64.") from None
    return found


@dataclass(frozen=True)
class Checksum:
    """What a chunk's bytes must hash to."""

    algorithm: str
    digest: bytes

    def begin(self) -> "_Hash":
        """A hash of this kind, of nothing yet."""
        return ALGORITHMS[self.algorithm](usedforsecurity=False)


def checksum(request: web.Request) -> Checksum | None:
    """``Upload-Checksum``, or None when it is not there."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem(MALFORMED, f"Upload-Checksum can be by {', '.join(ALGORITHMS)}.")
    try:
        return Checksum(algorithm, base64.b64decode(encoded.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise Problem(MALFORMED, "The value of Upload-Checksum is not Base64.") from None


@dataclass(frozen=True)
class Concat:
    """``Upload-Concat``: of a part, or of the whole that parts make."""

    parts: tuple[UUID, ...] | None
    """Ids of the parts in their order; None for a part."""


def concat(request: web.Request) -> Concat | None:
    """``Upload-Concat``, or None when it is not there."""
    text = request.headers.get("Upload-Concat")
    if text is None:
        return None
    kind, _, addresses = _ascii("Upload-Concat", text).partition(";")
    if text.strip() == "partial":
        return Concat(None)
    if kind.strip() != "final" or not addresses.split():
        raise Problem(MALFORMED, "Upload-Concat is 'partial', or 'final;' and the addresses of the parts.")
    return Concat(tuple(_id(address) for address in addresses.split()))


def _id(address: str) -> UUID:
    try:
        return UUID(urlsplit(address).path.rstrip("/").rpartition("/")[2])
    except ValueError:
        message = "must name uploads by their addresses"
        raise Problem(INVALID, f"Upload-Concat {message}.", errors=[("Upload-Concat", message)]) from None
