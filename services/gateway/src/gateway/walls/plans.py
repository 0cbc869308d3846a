"""The plans as data: what an owner may use unless the account says otherwise."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Jobs = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]
Some = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Minutes = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, strict=True)]
Dollars = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, strict=True)]
Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]


class Limits(BaseModel):
    """What an owner may use; None is no limit. Months are the calendar's, in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs_per_hour: Some | None = Field(default=None, description="Also how many at once after an hour of none.")
    jobs_per_month: Jobs | None = Field(default=None, description="Jobs accepted in a month.")
    minutes_per_month: Minutes | None = Field(default=None, description="Minutes of audio recognised in a month.")
    outstanding_jobs: Some | None = Field(default=None, description="Jobs that have not ended, uploads included.")
    budget_usd: Dollars | None = Field(default=None, description="What providers may cost in a month, in USD.")
    retention_days: Days | None = Field(default=None, description="Days after its end until a job is erased.")


NO_LIMITS = Limits()

PLANS: Mapping[str, Limits] = {
    "free": Limits(jobs_per_hour=50, jobs_per_month=1_000, minutes_per_month=600, outstanding_jobs=10, budget_usd=10.0),
    "pro": Limits(
        jobs_per_hour=500, jobs_per_month=20_000, minutes_per_month=12_000, outstanding_jobs=100, budget_usd=200.0
    ),
    "enterprise": Limits(jobs_per_hour=5_000, outstanding_jobs=1_000),
    "operator": NO_LIMITS,
}
"""``operator`` is the plan of what is made with the operator's key."""


def merged(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Limits]:
    """The plans with some limits changed; raises ValueError for a plan or limit there is none of."""
    plans = dict(PLANS)
    for name, limits in changes.items():
        if name not in plans:
            msg = f"there is no plan {name!r}; there is {', '.join(PLANS)}"
            raise ValueError(msg)
        plans[name] = with_changes(plans[name], limits)
    return plans


def with_changes(limits: Limits, changes: Mapping[str, Any]) -> Limits:
    """Limits with some of them changed."""
    return Limits.model_validate({**limits.model_dump(), **changes})


def _read(value: Any) -> Any:
    changes = json.loads(value) if isinstance(value, str) else value
    if isinstance(changes, Mapping) and not any(isinstance(limits, Limits) for limits in changes.values()):
        return merged(changes)
    return changes


Plans = Annotated[dict[str, Limits], BeforeValidator(_read)]
"""Plans as a setting: JSON of what is to be other than in `PLANS`, by plan and limit."""
