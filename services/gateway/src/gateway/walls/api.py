"""What is left to an owner, and an admin's word on what an account may use."""

from datetime import UTC

from aiohttp import web

from common.events import now
from gateway.answers import json_answer
from gateway.identity.ports import Audit
from gateway.lookup import path_id
from gateway.principal import LEGACY, owner_of
from gateway.problems import NOT_FOUND, Problem
from gateway.routing import body_of
from gateway.walls.gate import Gate
from gateway.walls.models import AccountLimits, ChangedLimits, HourlyLeft, Left, LimitsNow
from gateway.walls.plans import Limits
from gateway.walls.standing import Standing
from gateway.walls.store import WallsStore


class LimitsApi:
    """The handlers of `/v1/limits` and `/v1/admin/accounts/{id}/limits`."""

    def __init__(self, *, gate: Gate, store: WallsStore, audit: Audit) -> None:
        self._gate = gate
        self._store = store
        self._audit = audit

    async def mine(self, request: web.Request) -> web.Response:
        """GET /v1/limits."""
        plan, limits, standing = await self._gate.stand(owner_of(request))
        headers = standing.headers(limits) if standing is not None else {}
        return json_answer(_now(plan, limits, standing), headers=headers)

    async def show(self, request: web.Request) -> web.Response:
        """GET /v1/admin/accounts/{id}/limits."""
        return json_answer(await self._of(await self._owner(request)))

    async def change(self, request: web.Request) -> web.Response:
        """PATCH /v1/admin/accounts/{id}/limits; every gateway holds to it within ten seconds."""
        owner = await self._owner(request)
        asked = body_of(request, ChangedLimits)
        await self._store.save_limits(owner, asked.applied(await self._changes(owner)))
        self._gate.forget(owner)
        await self._audit(
            request, "account.limits", account=owner, limits=asked.model_dump(mode="json", exclude_unset=True)
        )
        return json_answer(await self._of(owner))

    async def _owner(self, request: web.Request) -> str:
        if request.match_info["id"] == LEGACY:
            return LEGACY
        account = path_id(request)
        if not await self._store.account_exists(account):
            raise Problem(NOT_FOUND, "There is no account with this id.")
        return str(account)

    async def _changes(self, owner: str) -> dict[str, object]:
        return (await self._gate.look_up(owner))[1]

    async def _of(self, owner: str) -> AccountLimits:
        plan, changes = await self._gate.look_up(owner)
        return AccountLimits(plan=plan, limits=self._gate.apply(plan, changes).model_dump(), changed=sorted(changes))


def _now(plan: str, limits: Limits, standing: Standing | None) -> LimitsNow:
    month = (now() if standing is None else standing.month_begins).astimezone(UTC)
    return LimitsNow(
        plan=plan,
        month=f"{month:%Y-%m}",
        resets_at=standing.month_ends if standing is not None else None,
        jobs_per_hour=HourlyLeft(
            limit=limits.jobs_per_hour,
            left=standing.bucket if standing is not None else None,
            next_in_seconds=round(standing.wait, 3) if standing is not None else 0.0,
            full_in_seconds=round(standing.bucket_full, 3) if standing is not None else 0.0,
        ),
        jobs_per_month=_left(limits.jobs_per_month, standing.month_jobs if standing is not None else 0),
        minutes_per_month=_left(limits.minutes_per_month, standing.used_seconds / 60 if standing is not None else 0.0),
        outstanding_jobs=_left(limits.outstanding_jobs, standing.outstanding if standing is not None else 0),
        budget_usd=_left(limits.budget_usd, standing.used_usd if standing is not None else 0.0),
        retention_days=limits.retention_days,
    )


def _left(limit: float | None, used: float) -> Left:
    left = None if limit is None else round(max(limit - used, 0.0), 6)
    return Left(limit=limit, used=round(used, 6), left=left)
