"""Events on the wire: CloudEvents 1.0 in binary mode, attributes in Kafka headers and the event's JSON as the value."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from common.events import REGISTRY, Event

Headers = Sequence[tuple[str, bytes]]

_VERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")


class Undecodable(Exception):  # noqa: N818 - said of a record, not of a mistake here
    """A record is no event of the contract; ``reason`` says why, without quoting the record.

    Parameters
    ----------
    reason
        What is wrong with it, one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Codec(NamedTuple):
    headers: tuple[tuple[str, bytes], ...]
    dump: Callable[[Event], bytes]


@cache
def _codec(cls: type[Event], service: str) -> _Codec:
    fixed = (_VERSION, ("ce_type", cls.type.encode()), ("ce_source", f"/scribewire/{service}".encode()), _JSON)
    return _Codec(fixed, TypeAdapter(cls).serializer.to_json)


_VALIDATE: dict[bytes | None, Callable[[bytes], Event]] = {
    kind.encode(): TypeAdapter(cls).validator.validate_json for kind, cls in REGISTRY.items()
}


def headers(event: Event, *, service: str, traceparent: bytes | None = None) -> list[tuple[str, bytes]]:
    """Attributes of an event as Kafka headers.

    Parameters
    ----------
    event
        The event.
    service
        Who says so; becomes ``ce_source``.
    traceparent
        W3C trace context to carry along.
    """
    attributes = [
        *_codec(type(event), service).headers,
        ("ce_id", str(event.id).encode()),
        ("ce_subject", str(event.job_id).encode()),
        ("ce_time", event.time.isoformat().encode()),
    ]
    if traceparent is not None:
        attributes.append(("traceparent", traceparent))
    return attributes


def body(event: Event) -> bytes:
    """An event's JSON."""
    return _codec(type(event), "").dump(event)


def decode(value: bytes | None, headers: Headers) -> Event:
    """The event that a record carries; raises `Undecodable` as `decode_attributes` does."""
    return decode_attributes(value, dict(headers))


def decode_attributes(value: bytes | None, attributes: Mapping[str, bytes]) -> Event:
    """The event that a record carries, by its headers as a mapping.

    Raises
    ------
    Undecodable
        The record has no value, lacks a CloudEvents attribute or has one that is not UTF-8, is of a type the
        contract does not know, or its JSON is not what the contract says.
    """
    if value is None:
        raise Undecodable("it has no value")
    try:
        if attributes["ce_specversion"] != b"1.0":
            raise Undecodable("ce_specversion is not 1.0")
        kind = attributes["ce_type"]
        # One decode for all of them: this runs for every event there is.
        optional = attributes.get("ce_subject", b""), attributes.get("ce_time", b"")
        b"\0".join((attributes["ce_id"], attributes["ce_source"], *optional)).decode()
    except KeyError as error:
        raise Undecodable(f"the header {error.args[0]} is missing") from None
    except UnicodeDecodeError:
        raise Undecodable("a ce_ header is not UTF-8") from None
    except TypeError:
        raise Undecodable("a ce_ header is empty") from None
    validate = _VALIDATE.get(kind)
    if validate is None:
        raise Undecodable(f"type {kind[:80].decode(errors='replace')} is not known")
    try:
        return validate(value)
    except ValidationError as error:
        raise Undecodable(_summary(error)) from None


def _summary(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where or 'value'}: {first['msg']}{more}"[:300]
