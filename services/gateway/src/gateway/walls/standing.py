"""How an owner stands with the limits: as headers, and as the problem of who may not go on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gateway.problems import BUDGET_USED_UP, QUOTA_EXCEEDED, RATE_LIMITED, TOO_MANY_JOBS, Problem
from gateway.walls.plans import Limits

HOUR = 3600
LOOK_AGAIN = 10
"""Seconds until it is worth to ask again whether one of the jobs has ended."""

Verdict = Literal["admitted", "known", "rate", "jobs", "seconds", "budget", "outstanding"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of an owner at one moment.

    Parameters
    ----------
    verdict
        Whether a job was admitted, was there before, or which limit it met.
    fresh
        Whether a job was counted just now.
    holding
        Whether the count has to be given back, as one of its holders', when nothing comes of this request.
    wait
        Seconds until the next job of the hour, 0 where there is one.
    bucket, bucket_full
        Jobs left of the hour, None where it has no limit, and seconds until it is as if none had been sent.
    month_jobs, used_seconds, used_usd
        This month: jobs, seconds of audio and USD, with what jobs under way will come to as far as that is known.
    month_begins, month_ends, month_left
        When the month began and when it is over, and the seconds until then.
    """

    verdict: Verdict
    fresh: bool
    holding: bool
    wait: float
    bucket: int | None
    bucket_full: float
    month_jobs: int
    outstanding: int
    used_seconds: float
    used_usd: float
    month_begins: datetime
    month_ends: datetime
    month_left: float

    def headers(self, limits: Limits) -> dict[str, str]:
        """``RateLimit`` and ``RateLimit-Policy`` as draft-ietf-httpapi-ratelimit-headers-10 has them."""
        policies, states = [], []
        for name, policy, state in self._quotas(limits):
            policies.append(f'"{name}";{policy}')
            states.append(f'"{name}";{state}')
        if not policies:
            return {}
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}

    def _quotas(self, limits: Limits) -> Iterator[tuple[str, str, str]]:
        month = math.ceil(self.month_left)
        if limits.jobs_per_hour is not None:
            yield (
                "jobs-per-hour",
                f"q={limits.jobs_per_hour};w={HOUR}",
                f"r={self.bucket or 0};t={math.ceil(self.bucket_full)}",
            )
        if limits.jobs_per_month is not None:
            left = max(limits.jobs_per_month - self.month_jobs, 0)
            yield "jobs-per-month", f"q={limits.jobs_per_month}", f"r={left};t={month}"
        if limits.outstanding_jobs is not None:
            left = max(limits.outstanding_jobs - self.outstanding, 0)
            yield "outstanding-jobs", f'q={limits.outstanding_jobs};qu="concurrent-requests"', f"r={left}"

    def refusal(self, limits: Limits) -> Problem | None:
        """The problem to answer with, or None where the job may go on."""
        if self.verdict in {"admitted", "known"}:
            return None
        headers = self.headers(limits)
        month = math.ceil(self.month_left)
        ends = self.month_ends.isoformat()
        if self.verdict == "budget":
            return Problem(
                BUDGET_USED_UP,
                f"Providers may cost {limits.budget_usd:g} USD this month and cost {self.used_usd:.2f}, jobs under way"
                " included. Jobs of offline engines are taken; ask who runs this service for more.",
                headers=headers,
                budget_usd=limits.budget_usd,
                used_usd=round(self.used_usd, 6),
                resets_at=ends,
            )
        if self.verdict == "rate":
            return Problem(
                RATE_LIMITED,
                f"{limits.jobs_per_hour} jobs an hour are allowed; see Retry-After.",
                headers={**headers, "Retry-After": str(max(math.ceil(self.wait), 1))},
                **_violated("jobs-per-hour"),
            )
        if self.verdict == "outstanding":
            return Problem(
                TOO_MANY_JOBS,
                f"{limits.outstanding_jobs} jobs may be under way at once; send the next when one has ended.",
                headers={**headers, "Retry-After": str(LOOK_AGAIN)},
                **_violated("outstanding-jobs"),
            )
        policy, what = (
            ("jobs-per-month", f"{limits.jobs_per_month} jobs")
            if self.verdict == "jobs"
            else ("minutes-per-month", f"{limits.minutes_per_month:g} minutes of audio")
        )
        return Problem(
            QUOTA_EXCEEDED,
            f"{what} a month are allowed, and this month's are used up.",
            headers={**headers, "Retry-After": str(month)},
            resets_at=ends,
            **_violated(policy),
        )

    def room(self, limits: Limits) -> int:
        """How many more jobs would be admitted now; a large number where nothing bounds them."""
        bounds = [
            (self.bucket, limits.jobs_per_hour),
            (None if limits.jobs_per_month is None else limits.jobs_per_month - self.month_jobs, limits.jobs_per_month),
            (
                None if limits.outstanding_jobs is None else limits.outstanding_jobs - self.outstanding,
                limits.outstanding_jobs,
            ),
        ]
        if self.verdict not in {"admitted", "known"}:
            return 0
        return max(min((left for left, limit in bounds if limit is not None and left is not None), default=2**31), 0)


def _violated(policy: str) -> dict[str, Any]:
    """The member that the draft names for it."""
    return {"violated-policies": [policy]}
