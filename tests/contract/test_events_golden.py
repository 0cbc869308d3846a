"""The wire form of every event is pinned by a golden file; a field that is added shows as a difference there."""

import json
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from pydantic import BaseModel

from common import envelope, topics
from common.asyncapi import PARTIES
from common.events import REGISTRY, Event
from support.event_samples import SAMPLES

DATA = Path(__file__).parents[1] / "data/events"
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def wire(event: Event) -> dict[str, object]:
    """An event as it is on the wire, in the form of a golden file."""
    service = PARTIES[type(event)].writers[0]
    headers = envelope.headers(event, service=service, traceparent=TRACE)
    return {
        "topic": event.topic,
        "key": event.key,
        "headers": {name: value.decode() for name, value in headers},
        "value": json.loads(envelope.body(event)),
    }


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)
def test_wire_form(event: Event, request: pytest.FixtureRequest) -> None:
    path = DATA / f"{event.type}.json"
    if request.config.getoption("--update-test-data"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wire(event), indent=2, ensure_ascii=False) + "\n")
    golden = json.loads(path.read_text())
    assert wire(event) == golden
    headers = [(name, value.encode()) for name, value in golden["headers"].items()]
    assert envelope.decode(json.dumps(golden["value"]).encode(), headers) == event


def test_every_event_has_a_golden_file_and_no_other() -> None:
    assert {path.stem for path in DATA.glob("*.json")} == set(REGISTRY)
    assert {event.type for event in SAMPLES} == set(REGISTRY)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)
def test_samples_set_every_field(event: Event) -> None:
    """A golden file that leaves a field out would not notice a change of its form."""

    def unset(model: BaseModel) -> set[str]:
        return set(type(model).model_fields) - model.model_fields_set

    assert unset(event) == set()


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)
def test_the_cloudevents_sdk_reads_it(event: Event) -> None:
    golden = json.loads((DATA / f"{event.type}.json").read_text())
    message = KafkaMessage(
        headers={name: value.encode() for name, value in golden["headers"].items()},
        key=golden["key"].encode(),
        value=json.dumps(golden["value"]).encode(),
    )
    read = from_binary_event(message, JSONFormat())
    assert read.get_specversion() == "1.0"
    assert read.get_id() == str(event.id)
    assert read.get_type() == event.type
    assert read.get_source() == f"/scribewire/{PARTIES[type(event)].writers[0]}"
    assert read.get_subject() == str(event.job_id)
    assert read.get_time() == event.time
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data() == golden["value"]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)
def test_belongs_on_a_topic_of_the_registry(event: Event) -> None:
    assert event.topic in topics.names(type(event))
    assert event.topic in {spec.name for spec in topics.specs()}
