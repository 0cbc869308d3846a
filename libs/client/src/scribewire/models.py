"""What the gateway answers, as typed dictionaries; the OpenAPI document is the whole truth."""

from typing import Any, Literal, Required, TypedDict

Format = Literal["json", "txt", "srt", "vtt"]
"""What a transcript can be written as."""

TERMINAL = frozenset({"completed", "failed", "cancelled", "deleted"})
"""Where a job stays; ``deleted`` is only ever seen by who follows a job while somebody erases it."""


class JobError(TypedDict):
    """Why a job, or a part of it, failed."""

    code: str
    message: str


class Job(TypedDict, total=False):
    """A job; seconds are floats, sizes bytes, times ISO 8601."""

    id: Required[str]
    status: Required[str]
    stage: str | None
    fraction: float
    detail: str
    filename: str | None
    size: int | None
    sha256: str | None
    content_type: str | None
    options: dict[str, Any]
    priority: str
    language: str | None
    duration: float | None
    media: dict[str, Any] | None
    audio: dict[str, Any] | None
    words: int | None
    segments: int | None
    provider: str | None
    model: str | None
    reused_from: str | None
    created_at: str
    updated_at: str
    finished_at: str | None
    error: JobError | None
    translations: list[dict[str, Any]]
    links: dict[str, str | None]


class JobPage(TypedDict):
    """Jobs, newest first; ``next_cursor`` is null on the last page."""

    jobs: list[Job]
    next_cursor: str | None
    counts: dict[str, int]


class Account(TypedDict, total=False):
    """An account as its person sees it."""

    id: Required[str]
    email: str | None
    username: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    role: str
    plan: str
    is_active: bool
    created_at: str
    last_login: str | None
    consents: dict[str, bool]


class Tokens(TypedDict, total=False):
    """A login; ``expires_in`` are the seconds for which the access token is valid."""

    access_token: Required[str]
    refresh_token: Required[str]
    expires_in: Required[float]
    user: Account


class Registered(TypedDict, total=False):
    """A registration: a login at once, or ``status`` ``mail_sent`` and what to do in ``detail``."""

    access_token: str
    refresh_token: str
    expires_in: float
    user: Account
    status: str
    detail: str


class Key(TypedDict, total=False):
    """An API key without its secret."""

    id: Required[str]
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    uses: int
    rotated_to: str | None


class NewKey(Key):
    """A key just made; ``key`` is shown this once."""

    key: str


class Batch(TypedDict, total=False):
    """A batch and how far it is."""

    id: Required[str]
    status: Required[str]
    total: int
    bad: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int
    eta_seconds: float | None
    created_at: str
    finished_at: str | None


class BatchItem(TypedDict, total=False):
    """One line of a batch's manifest and what became of it."""

    line: Required[int]
    status: Required[str]
    reference: str | None
    url: str | None
    blob: str | None
    upload: str | None
    job_id: str | None
    attempt: int
    duration: float | None
    field: str | None
    error: JobError | None


class BatchPage(TypedDict):
    """Batches, newest first, without their counts; ``next_cursor`` is null on the last page."""

    batches: list[Batch]
    next_cursor: str | None


class ItemPage(TypedDict):
    """Items in the order of the manifest; ``next_cursor`` is null on the last page."""

    items: list[BatchItem]
    next_cursor: str | None
