"""CloudEvents on Kafka: what goes out can be read back, and by others; what is no event is told apart."""

from contextlib import suppress

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from common.bus import trace
from common.envelope import Undecodable, body, decode, headers
from support.buskit import segment

EVENT = segment("x", index=3)
HEADERS = headers(EVENT, service="transcoder", traceparent=trace.child(None))


def test_what_goes_out_comes_back() -> None:
    assert decode(body(EVENT), HEADERS) == EVENT


def test_another_cloudevents_library_reads_it() -> None:
    message = KafkaMessage(dict(HEADERS), EVENT.key.encode(), body(EVENT))
    event = from_binary(message, JSONFormat(), CloudEvent)
    assert event.get_id() == str(EVENT.id)
    assert event.get_type() == "segment.ready"
    assert event.get_source() == "/scribewire/transcoder"
    assert event.get_subject() == str(EVENT.job_id)
    assert event.get_time() == EVENT.time
    assert event.get_data()["index"] == 3


def without(name: str) -> list[tuple[str, bytes]]:
    return [(key, value) for key, value in HEADERS if key != name]


def changed(name: str, value: bytes) -> list[tuple[str, bytes]]:
    return [*without(name), (name, value)]


@pytest.mark.parametrize(
    ("value", "attributes", "reason"),
    [
        (None, HEADERS, "no value"),
        (b"{", HEADERS, "Invalid JSON"),
        (b"{}", HEADERS, "job_id"),
        (body(EVENT)[:-1] + b',"extra":1}', HEADERS, "extra"),
        (b"\xff\xfe", HEADERS, "Invalid JSON"),
        (body(EVENT), [], "ce_specversion is missing"),
        (body(EVENT), without("ce_id"), "ce_id is missing"),
        (body(EVENT), without("ce_type"), "ce_type is missing"),
        (body(EVENT), without("ce_source"), "ce_source is missing"),
        (body(EVENT), changed("ce_specversion", b"0.3"), "not 1.0"),
        (body(EVENT), changed("ce_type", b"segment.eaten"), "segment.eaten is not known"),
        (body(EVENT), changed("ce_type", b"\xff\xff"), "is not known"),
        (body(EVENT), changed("ce_id", b"\xff\xfe"), "not UTF-8"),
        (body(EVENT), changed("ce_subject", b"\xc3"), "not UTF-8"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(
    value: bytes | None, attributes: list[tuple[str, bytes]], reason: str
) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(value, attributes)


def test_a_strangers_binary_header_does_no_harm() -> None:
    assert decode(body(EVENT), [*HEADERS, ("x-binary", b"\xff\x00")]) == EVENT


@given(
    value=st.binary(max_size=200),
    attributes=st.lists(st.tuples(st.sampled_from([*dict(HEADERS)]), st.binary(max_size=40))),
)
def test_any_bytes_are_an_event_or_undecodable(value: bytes, attributes: list[tuple[str, bytes]]) -> None:
    with suppress(Undecodable):
        decode(value, attributes)


def test_the_reason_does_not_quote_the_record() -> None:
    with pytest.raises(Undecodable) as refused:
        decode(b'{"owner": "my secret text"}', HEADERS)
    assert "secret" not in refused.value.reason
