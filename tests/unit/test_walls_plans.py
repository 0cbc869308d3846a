"""Plans as data and as a setting, and how an owner's standing is said in headers and problems."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.engines import APERTIUM, DEEPGRAM, OPENAI, OPENAI_TRANSLATION, POCKETSPHINX
from common.options import JobOptions, SegmentPlan
from gateway.settings import GatewaySettings
from gateway.walls.models import ChangedLimits
from gateway.walls.plans import PLANS, Limits, with_changes
from gateway.walls.price import Price, price_of
from gateway.walls.standing import Standing, Verdict


def settings(monkeypatch: pytest.MonkeyPatch, plans: str | None) -> GatewaySettings:
    if plans is not None:
        monkeypatch.setenv("SCRIBEWIRE_PLANS", plans)
    return GatewaySettings(operator_key_file=Path("key"), encryption_keys_file=Path("keys"))


class TestPlans:
    def test_a_setting_changes_what_it_names_and_nothing_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plans = settings(
            monkeypatch, '{"free": {"jobs_per_hour": 20, "budget_usd": null}, "operator": {"retention_days": 30}}'
        ).plans
        assert plans["free"] == PLANS["free"].model_copy(update={"jobs_per_hour": 20, "budget_usd": None})
        assert plans["operator"].retention_days == 30
        assert plans["pro"] == PLANS["pro"]

    def test_without_it_everybody_may_send_fifty_an_hour_and_nothing_is_erased(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plans = settings(monkeypatch, None).plans
        assert plans["free"].jobs_per_hour == 50
        assert {limits.retention_days for limits in plans.values()} == {None}
        assert plans["operator"] == Limits()

    @pytest.mark.parametrize(
        "plans",
        [
            '{"gold": {}}',
            '{"free": {"jobs_per_day": 1}}',
            '{"free": {"jobs_per_hour": 0}}',
            '{"pro": {"budget_usd": -1}}',
            '["free"]',
        ],
    )
    def test_what_is_no_plan_is_refused_at_the_start(self, monkeypatch: pytest.MonkeyPatch, plans: str) -> None:
        with pytest.raises(ValueError, match="plan"):
            settings(monkeypatch, plans)

    def test_changes_of_an_account_are_kept_apart_from_the_plan(self) -> None:
        changes = ChangedLimits.model_validate({"jobs_per_hour": 7, "budget_usd": "unlimited"}).applied({})
        assert changes == {"jobs_per_hour": 7, "budget_usd": None}
        changes = ChangedLimits.model_validate({"jobs_per_hour": None, "retention_days": 3}).applied(changes)
        assert changes == {"budget_usd": None, "retention_days": 3}
        limits = with_changes(PLANS["free"], changes)
        assert (limits.jobs_per_hour, limits.budget_usd, limits.retention_days) == (50, None, 3)

    @pytest.mark.parametrize("body", [{"jobs_per_hour": 0}, {"jobs_per_hour": "many"}, {"calls": 3}])
    def test_no_limit_is_misread(self, body: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            ChangedLimits.model_validate(body)


class TestPrice:
    ENGINES = (DEEPGRAM, OPENAI, POCKETSPHINX, OPENAI_TRANSLATION, APERTIUM)

    @pytest.mark.parametrize(
        ("options", "provider", "price"),
        [
            (JobOptions(), "pocketsphinx", Price()),
            (JobOptions(), "deepgram", Price(0.0043, paid=True)),
            (JobOptions(model="gpt-4o-mini-transcribe"), "openai", Price(0.003, paid=True)),
            (JobOptions(translate=("es",), translator="apertium"), "pocketsphinx", Price()),
            (JobOptions(translate=("de",)), "pocketsphinx", Price(0.0, paid=True)),
            (JobOptions(), "nobody", Price()),
        ],
    )
    def test_it_is_the_catalogues(self, options: JobOptions, provider: str, price: Price) -> None:
        assert price_of(options, SegmentPlan(provider=provider), self.ENGINES) == price


def standing(verdict: Verdict) -> Standing:
    return Standing(
        verdict=verdict,
        fresh=False,
        holding=False,
        wait=71.2,
        bucket=0,
        bucket_full=3599.1,
        month_jobs=990,
        outstanding=10,
        used_seconds=36_000.0,
        used_usd=10.25,
        month_begins=datetime(2026, 11, 1, tzinfo=UTC),
        month_ends=datetime(2026, 12, 1, tzinfo=UTC),
        month_left=86_400.5,
    )


class TestStanding:
    def test_the_headers_are_structured_fields_as_the_draft_has_them(self) -> None:
        assert standing("admitted").headers(PLANS["free"]) == {
            "RateLimit-Policy": '"jobs-per-hour";q=50;w=3600, "jobs-per-month";q=1000,'
            ' "outstanding-jobs";q=10;qu="concurrent-requests"',
            "RateLimit": '"jobs-per-hour";r=0;t=3600, "jobs-per-month";r=10;t=86401, "outstanding-jobs";r=0',
        }
        assert standing("admitted").headers(Limits()) == {}

    @pytest.mark.parametrize(
        ("verdict", "status", "kind", "after"),
        [
            ("rate", 429, "rate-limited", "72"),
            ("jobs", 429, "quota-exceeded", "86401"),
            ("seconds", 429, "quota-exceeded", "86401"),
            ("outstanding", 429, "too-many-jobs", "10"),
            ("budget", 402, "budget-used-up", None),
        ],
    )
    def test_each_limit_is_a_problem_of_its_own(
        self, verdict: Verdict, status: int, kind: str, after: str | None
    ) -> None:
        problem = standing(verdict).refusal(PLANS["free"])
        assert problem is not None
        assert (problem.kind.status, problem.kind.slug) == (status, kind)
        assert (problem.headers or {}).get("Retry-After") == after
        assert "RateLimit" in (problem.headers or {})

    def test_who_may_go_on_has_no_problem(self) -> None:
        assert standing("admitted").refusal(PLANS["free"]) is None
        assert standing("known").refusal(PLANS["free"]) is None
