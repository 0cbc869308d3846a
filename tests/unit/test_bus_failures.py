"""What a failure becomes: its words, its retry topic, its count."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.bus.failures import Failure, Failures, delivery_number, stage_failed
from common.bus.producer import Producer
from common.errors import Permanent, Transient
from common.topics import retries
from support.buskit import segment


@pytest.mark.parametrize(
    ("wait", "name"), [(0, "10s"), (10, "10s"), (10.1, "1m"), (60, "1m"), (61, "10m"), (600, "10m"), (86_400, "10m")]
)
def test_the_shortest_topic_that_covers_the_wait(wait: float, name: str) -> None:
    failures = Failures("translator", cast("Producer", None), delays=(10, 60, 600), limit=8)
    assert failures.topic_for(wait) == f"translator.retry.{name}"


def test_failures_speak_the_houses_words_and_unknown_ones_keep_their_details() -> None:
    refused = Failure.of(Permanent("no_audio", "There is no audio."))
    assert (refused.code, refused.message, refused.permanent) == ("no_audio", "There is no audio.", True)
    busy = Failure.of(Transient("busy", retry_after=3.5, code="rate_limited"))
    assert (busy.code, busy.permanent, busy.retry_after) == ("rate_limited", False, 3.5)
    unknown = Failure.of(KeyError("secret-token"))
    assert (unknown.code, unknown.kind, unknown.permanent) == ("internal", "KeyError", False)
    assert "secret" not in unknown.message


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ([], 1),
        ([("x-attempt", b"transcriber 4")], 4),
        ([("x-attempt", b"translator 4")], 1),
        ([("x-attempt", b"nonsense")], 1),
        ([("x-attempt", b"transcriber \xff")], 1),
    ],
)
def test_only_our_own_deliveries_count(headers: list[tuple[str, bytes]], number: int) -> None:
    record: Any = SimpleNamespace(headers=headers)
    assert delivery_number(record, "transcriber") == number


def test_only_services_of_the_contract_say_that_a_stage_failed() -> None:
    failure = Failure("code", "words", "Kind")
    said = stage_failed(segment(index=4), failure, "transcriber", 2)
    assert said is not None
    assert (said.stage, said.failed_part, said.delivery_attempts) == ("transcriber", "4", 2)
    assert stage_failed(segment(), failure, "notifier", 1) is None
    assert len(retries("notifier")) == 3
