"""What the walls take and answer as JSON."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gateway.principal import LEGACY, OPERATOR
from gateway.walls.plans import Days, Dollars, Jobs, Minutes, Some

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Unlimited = Literal["unlimited"]


class Left(BaseModel):
    """One limit and what is left of it; null where there is no limit."""

    limit: float | None
    used: float
    left: float | None


class HourlyLeft(BaseModel):
    """The limit on jobs an hour; what was sent drips back evenly, one job every hour/limit."""

    limit: int | None
    left: int | None
    next_in_seconds: float = Field(description="Seconds until one more may be sent; 0 where one may now.")
    full_in_seconds: float = Field(description="Seconds until it is as if none had been sent.")


class LimitsNow(BaseModel):
    """What may be used and what is left of it."""

    plan: str
    month: str = Field(description="The month that is counted, `YYYY-MM`, in UTC.")
    resets_at: AwareDatetime | None = Field(description="When the next month begins; null where nothing is counted.")
    jobs_per_hour: HourlyLeft
    jobs_per_month: Left
    minutes_per_month: Left = Field(description="Minutes of audio, jobs under way included as soon as they are known.")
    outstanding_jobs: Left
    budget_usd: Left = Field(description="Cost of providers in USD, likewise.")
    retention_days: int | None = Field(description="Days after its end until a job is erased; null for never.")


class ChangedLimits(BaseModel):
    """Which limits of an account to change: a number, `unlimited`, or null for the plan's; others stay as they are."""

    model_config = ConfigDict(extra="forbid")

    jobs_per_hour: Some | Unlimited | None = None
    jobs_per_month: Jobs | Unlimited | None = None
    minutes_per_month: Minutes | Unlimited | None = None
    outstanding_jobs: Some | Unlimited | None = None
    budget_usd: Dollars | Unlimited | None = None
    retention_days: Days | Unlimited | None = None

    def applied(self, changes: dict[str, Any]) -> dict[str, Any]:
        """What is other than in the plan when this is done."""
        asked = self.model_dump(exclude_unset=True)
        kept = {name: value for name, value in changes.items() if name not in asked}
        wanted = {name: value for name, value in asked.items() if value is not None}
        return kept | {name: None if value == "unlimited" else value for name, value in wanted.items()}


class AccountLimits(BaseModel):
    """The limits of an account: its plan's, and what is other for it."""

    plan: str
    limits: dict[str, int | float | None] = Field(description="What holds; null for no limit.")
    changed: list[str] = Field(description="Which of them are other than in the plan.")


def _is_day(value: object) -> object:
    # pydantic takes seconds since 1970 for a day as well.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise PydanticCustomError("date_parsing", "not a day")
    return value


Day = Annotated[date, BeforeValidator(_is_day)]
"""A day as ISO 8601 has it."""


def _is_owner(text: str) -> str:
    if text not in {OPERATOR, LEGACY}:
        UUID(text)
    return text


Owner = Annotated[str, AfterValidator(_is_owner)]
"""``operator``, ``legacy``, or an account's id."""

_SINCE = Field(default=None, description="First day, `YYYY-MM-DD` in UTC; the month's first by default.")
_UNTIL = Field(default=None, description="Last day, itself included; today by default.")
_USER = Field(
    default=None, max_length=100, description="Another user: an id, `operator`, `legacy`; needs the scope `admin`."
)


class UsageQuery(BaseModel):
    """Which usage to sum up, and by what."""

    model_config = ConfigDict(extra="forbid")

    since: Day | None = _SINCE
    until: Day | None = _UNTIL
    by: Literal["service", "provider", "model", "day"] = Field(default="service", description="What to tell apart.")
    user: Owner | None = _USER


class RecordsQuery(BaseModel):
    """Which usage to list."""

    model_config = ConfigDict(extra="forbid")

    since: Day | None = _SINCE
    until: Day | None = _UNTIL
    limit: int = Field(default=100, ge=1, le=1000, description="Acts on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    user: Owner | None = _USER


class Used(BaseModel):
    """Some usage."""

    calls: int = Field(description="Billable acts; a job has several.")
    audio_duration_seconds: float
    tokens_used: int
    cost_usd: float = Field(description="By list prices.")


class UsedBy(Used):
    """The usage of one service, provider, model or day."""

    name: str


class Usage(BaseModel):
    """Usage in a range of days."""

    user: str
    since: date
    until: date
    total: Used
    groups: list[UsedBy]


class UsageRecord(BaseModel):
    """One billable act."""

    id: UUID
    job_id: UUID
    user: str
    service: str
    provider: str
    endpoint: str
    model: str | None
    audio_duration_seconds: float
    tokens_used: int
    cost_usd: float
    timestamp: datetime


class UsageRecords(BaseModel):
    """Billable acts, newest first."""

    records: list[UsageRecord]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")
