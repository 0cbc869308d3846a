"""Errors as RFC 9457 problems: the list of all kinds, and the one middleware that answers with them."""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.blobs import BlobsUnavailable
from common.bus.producer import BusUnavailable
from gateway.database import StoreBusy, StoreUnavailable
from gateway.words import in_words

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER = {"Retry-After": "5"}


@dataclass(frozen=True)
class Kind:
    """One kind of problem: the last part of its type, its HTTP status and its title."""

    slug: str
    status: int
    title: str


MALFORMED = Kind("malformed-request", 400, "The request cannot be read")
UNAUTHORIZED = Kind("unauthorized", 401, "A valid key is needed")
BAD_CREDENTIALS = Kind("bad-credentials", 401, "This is not who they say they are")
BUDGET_USED_UP = Kind("budget-used-up", 402, "The budget of this month is used up")
FORBIDDEN = Kind("forbidden", 403, "The key does not allow this")
CONSENT_REQUIRED = Kind("consent-required", 403, "The person has not agreed yet")
INACTIVE = Kind("account-inactive", 403, "The account is switched off")
NOT_FOUND = Kind("not-found", 404, "There is no such thing")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This method is not offered here")
STALLED = Kind("stalled", 408, "The upload fell silent")
NOT_READY = Kind("not-ready", 409, "The result is not there yet")
JOB_FAILED = Kind("job-failed", 409, "The job has no result")
ALREADY_ENDED = Kind("already-ended", 409, "The job has already ended")
KEY_ROTATED = Kind("key-rotated", 409, "The key was rotated before")
TOO_MANY_KEYS = Kind("too-many-keys", 409, "There are too many keys")
MADE_BEFORE = Kind("made-before", 409, "This request was answered before")
JOB_DELETED = Kind("job-deleted", 409, "The job was deleted")
BUSY_EXPORTING = Kind("export-under-way", 409, "An export is under way")
NO_ACCOUNT = Kind("no-account", 409, "There is no account behind this key")
TAKEN = Kind("taken", 409, "Somebody has this already")
NO_SESSION = Kind("no-session", 409, "This is only for who is logged in")
GONE = Kind("gone", 410, "This is not offered any more")
TOO_LARGE = Kind("too-large", 413, "The upload is too large")
ADDRESS_TOO_LONG = Kind("address-too-long", 414, "The address is too long")
UNSUPPORTED_ENCODING = Kind("unsupported-encoding", 415, "The body is encoded in a way that is not read here")
BODY_TYPE = Kind("unsupported-media-type", 415, "The body is of a type that is not read here")
EXPECTATION_FAILED = Kind("expectation-failed", 417, "This is not what a client can expect")
INVALID = Kind("invalid-request", 422, "The request is not valid")
NO_FILE = Kind("no-file", 422, "The request has no file")
EMPTY_FILE = Kind("empty-file", 422, "The file is empty")
BAD_TOKEN = Kind("bad-token", 422, "The token is not valid any more")
UNSUPPORTED = Kind("unsupported", 422, "No engine can do this")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The Idempotency-Key belongs to another request")
TOO_MANY = Kind("too-many-attempts", 429, "Too many attempts")
RATE_LIMITED = Kind("rate-limited", 429, "Too many at a time")
QUOTA_EXCEEDED = Kind("quota-exceeded", 429, "This month's quota is used up")
TOO_MANY_JOBS = Kind("too-many-jobs", 429, "Too many jobs are under way")
HEADERS_TOO_LARGE = Kind("headers-too-large", 431, "The headers are too large")
INTERNAL = Kind("internal", 500, "Something went wrong on our side")
UNAVAILABLE = Kind("unavailable", 503, "Please try again shortly")


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem details; members a kind adds beside these are named in its description."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:scribewire:problem:` and the kind.")
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = Field(default=None, description="With status 422: what is wrong where.")


class Problem(Exception):  # noqa: N818 - named as the RFC names it
    """An answer that is an error.

    Parameters
    ----------
    kind
        Which of the kinds above.
    detail
        What is wrong in this case and what to do, for a person.
    errors
        Pairs of field and message.
    headers
        Extra headers, such as ``Retry-After``.
    extra
        Members added to the document.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = headers
        self.document = {
            "type": f"urn:scribewire:problem:{kind.slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            **extra,
        }
        if listed := [{"field": field, "message": message} for field, message in errors]:
            self.document["errors"] = listed

    def response(self) -> web.Response:
        """The answer over HTTP."""
        return web.Response(
            status=self.kind.status,
            body=json.dumps(self.document).encode(),
            content_type="application/problem+json",
            headers=self.headers,
        )


def invalid(error: ValidationError, model: type[BaseModel]) -> Problem:
    """The problem that names every field of a request that a pydantic model refused."""
    errors = [(".".join(str(part) for part in item["loc"]) or "body", in_words(item, model)) for item in error.errors()]
    named = ", ".join(sorted({field.split(".", maxsplit=1)[0] for field, _ in errors}))
    return Problem(INVALID, f"Not valid: {named}.", errors=errors)


def unavailable(detail: str) -> Problem:
    """A part this request needs is away for now; the same request may be sent again."""
    return Problem(UNAVAILABLE, detail, headers=RETRY_AFTER)


def of_http(error: web.HTTPException) -> Problem:
    """The problem for an error that aiohttp itself found."""
    if error.status == 405:
        return Problem(METHOD_NOT_ALLOWED, "See /openapi.json.", headers={"Allow": error.headers.get("Allow", "")})
    if error.status == 413:
        return Problem(TOO_LARGE, "The body is larger than this address takes.")
    if error.status == 404:
        return Problem(NOT_FOUND, "Nothing is found at this address; see /openapi.json.")
    if error.status == 417:
        return Problem(EXPECTATION_FAILED, "Expect may only be 100-continue.")
    return Problem(MALFORMED, "The request cannot be understood.")


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem; an unknown one as 500 without a word about its cause.

    Raises
    ------
    ConnectionError
        When the answer has begun: a second head would be read as a part of the first one's body, so the connection
        ends instead, and the client sees that the answer is not whole.
    """
    begun = time.perf_counter()
    try:
        return await handler(request)
    except Exception as error:
        problem = _of(request, error)
        if request.writer.output_size == 0:
            return problem.response()
        log.warning(
            "answer_broken_off",
            method=request.method,
            path=request.path,
            status=problem.kind.status,
            bytes=request.writer.output_size,
            seconds=round(time.perf_counter() - begun, 3),
        )
        if request.transport is not None:
            request.transport.abort()  # To close it would wait for who may not be reading what was sent so far.
        msg = "the answer was broken off"
        raise ConnectionResetError(msg) from error


def _of(request: web.Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case web.HTTPException():
            return of_http(error)
        case BlobsUnavailable():
            log.warning("blobs_unavailable", path=request.path)
            return unavailable("The store of files is full or away; nothing was kept of this request.")
        case BusUnavailable():
            log.warning("kafka_unavailable", path=request.path)
            return unavailable("The log is away; send the request again, with the same Idempotency-Key if it had one.")
        case StoreBusy():
            log.warning("postgres_busy", path=request.path)
            return unavailable("Too much is asked of the database at once; send the request again shortly.")
        case StoreUnavailable():
            log.warning("postgres_unavailable", path=request.path)
            return unavailable("The database is away; jobs go on, their state can be asked for again shortly.")
        case ConnectionError():
            log.info("client_gone", path=request.path)
            return Problem(MALFORMED, "The connection ended before the request did.")
        case _:
            log.error("request_failed", path=request.path, exc_info=error)
            return Problem(INTERNAL, "It is logged; please try again, and tell the operator if it stays.")
