"""The AsyncAPI document: every topic of the registry, what is on it, who writes and who reads it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic.json_schema import models_json_schema

from common import events, topics
from common.events import REGISTRY, Event

VERSION = "1.0.0"
"""Version of the contract; the last number rises with every added field, the first never."""

STAGES = ("transcoder", "transcriber", "translator")


class Parties(NamedTuple):
    """Which services write an event and which read it; anybody else may read it, too."""

    writers: tuple[str, ...]
    readers: tuple[str, ...]


PARTIES: Mapping[type[Event], Parties] = {
    events.UploadReceived: Parties(("gateway",), ("transcoder", "recorder")),
    events.SegmentReady: Parties(("transcoder",), ("transcriber",)),
    events.SegmentTranscribed: Parties(("transcriber",), ("transcriber",)),
    events.TranscriptCompleted: Parties(("transcriber", "transcoder"), ("recorder",)),
    events.TranslationRequested: Parties(("transcriber", "gateway"), ("translator",)),
    events.TranslationCompleted: Parties(("translator", "transcoder"), ("recorder",)),
    events.StageProgress: Parties(STAGES, ("recorder", "gateway")),
    events.StageFailed: Parties(STAGES, ("recorder",)),
    events.JobCompleted: Parties(("recorder",), ("notifier", "gateway")),
    events.JobFailed: Parties(("recorder",), ("notifier", "gateway")),
    events.JobCancelled: Parties(("recorder",), ("notifier", "gateway")),
    events.JobControl: Parties(("gateway",), (*STAGES, "recorder")),
    events.UsageRecorded: Parties(("transcriber", "translator"), ("recorder",)),
    events.ProofDeleted: Parties(("recorder",), ()),
}

_INFO = """\
Everything Scribewire does is an event on Apache Kafka, and any program may subscribe. Events are CloudEvents 1.0 in
binary mode: attributes in headers, JSON in the value. Delivery is at least once; `ce_id` is derived from the fact, so
the same fact always has the same id. Fields are only ever added, and optional: ignore those you do not know. Not listed
are the bus's own topics: `<service>.retry.*` holds delayed events, `<topic>.dead` what could not be processed, with the
cause in its headers."""


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0.0 document as JSON-ready data."""
    models = [(cls, "validation") for cls in REGISTRY.values()]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    channels = [spec for spec in topics.specs() if spec.event and not spec.name.endswith(".dead")]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Scribewire events", "version": VERSION, "description": _INFO},
        "defaultContentType": "application/json",
        "channels": {spec.name: _channel(spec) for spec in channels},
        "operations": dict(item for spec in channels for item in _operations(spec)),
        "components": {
            "messages": {**{kind: _message(cls) for kind, cls in REGISTRY.items()}, "tombstone": _TOMBSTONE},
            "schemas": opened(definitions["$defs"]),
        },
    }


def opened(schema: Any) -> Any:
    """A schema for readers: without ``additionalProperties: false``, since fields may be added at any time."""
    if isinstance(schema, dict):
        return {
            key: opened(value)
            for key, value in schema.items()
            if not (key == "additionalProperties" and value is False)
        }
    return [opened(item) for item in schema] if isinstance(schema, list) else schema


def render(data: Any) -> str:
    """JSON as it is committed: indented, ending in a newline."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _compacted(spec: topics.TopicSpec) -> bool:
    return spec.config["cleanup.policy"] == "compact"


def _messages(spec: topics.TopicSpec) -> list[str]:
    assert spec.event is not None  # noqa: S101 - retry topics are not documented
    return [spec.event.type, *(["tombstone"] if _compacted(spec) else [])]


def _channel(spec: topics.TopicSpec) -> dict[str, Any]:
    assert spec.event is not None  # noqa: S101 - as above
    settings: dict[str, Any] = {"cleanup.policy": [spec.config["cleanup.policy"]]}
    for name in ("retention.ms", "delete.retention.ms"):
        if name in spec.config:
            settings[name] = int(spec.config[name])
    return {
        "address": spec.name,
        "description": _first_line(spec.event),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(spec)},
        "bindings": {"kafka": {"topic": spec.name, "topicConfiguration": settings, "bindingVersion": "0.5.0"}},
    }


def _operations(spec: topics.TopicSpec) -> list[tuple[str, dict[str, Any]]]:
    assert spec.event is not None  # noqa: S101 - as above
    parties = PARTIES[spec.event]
    return [
        (
            f"{service}.{action}.{spec.name}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{spec.name}"},
                "summary": f"The {service} {'writes' if action == 'send' else 'reads'} {spec.event.__name__}.",
                "messages": [{"$ref": f"#/channels/{spec.name}/messages/{name}"} for name in _messages(spec)],
            },
        )
        for action, services in (("send", parties.writers), ("receive", parties.readers))
        for service in services
    ]


def _message(cls: type[Event]) -> dict[str, Any]:
    return {
        "name": cls.type,
        "title": cls.__name__,
        "summary": _first_line(cls),
        "contentType": "application/json",
        "headers": _headers(cls),
        "payload": {"$ref": f"#/components/schemas/{cls.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": _first_line(cls.key)},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _headers(cls: type[Event]) -> dict[str, Any]:
    writers = "|".join(PARTIES[cls].writers)
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "format": "uuid", "description": "The same for the same fact; drop repeats."},
            "ce_type": {"const": cls.type},
            "ce_source": {"type": "string", "pattern": f"^/scribewire/({writers})$"},
            "ce_subject": {"type": "string", "format": "uuid", "description": "The job."},
            "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
            "content-type": {"const": "application/json"},
            "traceparent": {"type": "string", "description": "W3C trace context."},
        },
    }


def _first_line(documented: object) -> str:
    return (documented.__doc__ or "").partition("\n")[0]


_TOMBSTONE = {
    "name": "tombstone",
    "title": "Tombstone",
    "summary": "A record without a value: forget what you keep under this key; its job was deleted.",
    "payload": {"type": "null"},
}
