"""Every topic, made from the registry of events: `python -m common.topics apply` creates what is missing."""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, KafkaError, TopicAlreadyExistsError, for_code

from common import events
from common.events import Event
from common.options import Lane
from common.settings import CommonSettings

_DAY = 24 * 3600 * 1000
_KEPT = {"cleanup.policy": "delete", "retention.ms": str(28 * _DAY)}
_BRIEF = {"cleanup.policy": "delete", "retention.ms": str(1 * _DAY)}
_COMPACTED = {
    "cleanup.policy": "compact",
    "max.compaction.lag.ms": str(1 * _DAY),
    "delete.retention.ms": str(28 * _DAY),
}

_CONFIGS: Mapping[type[Event], Mapping[str, str]] = {
    events.TranscriptCompleted: _COMPACTED,
    events.TranslationCompleted: _COMPACTED,
    events.JobCompleted: _COMPACTED,
    events.JobFailed: _COMPACTED,
    events.JobCancelled: _COMPACTED,
    events.JobControl: _COMPACTED,
    events.UsageRecorded: _COMPACTED,
    events.StageProgress: _BRIEF,  # the most numerous event; the rows keep where a job got to
}

RETRYING_SERVICES = ("transcoder", "transcriber", "translator", "notifier")
"""Services whose events can be delayed and tried again."""

RETRY_DELAYS = ("10s", "1m", "10m")
"""Names of a service's retry topics, short to long; settings.retry_delays says how long each is."""

_RETRY_PARTITIONS = 3
_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be.

    ``config`` holds Kafka's topic settings where they differ from the broker's; ``event`` is the class of event on
    it, of the undeliverable originals on a ``.dead`` topic, and None on a retry topic, which takes any.
    """

    name: str
    partitions: int
    config: Mapping[str, str]
    event: type[Event] | None


def dead(topic: str) -> str:
    """The topic of a topic's dead letters."""
    return f"{topic}.dead"


def retries(service: str) -> tuple[str, ...]:
    """A service's retry topics, short to long."""
    return tuple(f"{service}.retry.{delay}" for delay in RETRY_DELAYS)


def names(event: type[Event]) -> tuple[str, ...]:
    """The topics of an event: one, or one for each lane."""
    return tuple(f"{event.type}.{lane}" for lane in get_args(Lane)) if event.lanes else (event.type,)


def specs(*, partitions: int = 6) -> list[TopicSpec]:
    """Every topic the platform needs.

    Parameters
    ----------
    partitions
        Of an event's topic; retry topics have at most three, dead letters one.
    """
    return [*_of_events(partitions), *_of_retries(partitions)]


def _of_events(partitions: int) -> Iterator[TopicSpec]:
    for event in events.REGISTRY.values():
        for name in names(event):
            yield TopicSpec(name, partitions, _CONFIGS.get(event, _KEPT), event)
            yield TopicSpec(dead(name), 1, _KEPT, event)


def _of_retries(partitions: int) -> Iterator[TopicSpec]:
    for service in RETRYING_SERVICES:
        for name in retries(service):
            yield TopicSpec(name, min(partitions, _RETRY_PARTITIONS), _KEPT, None)


async def apply(bootstrap: str, *, partitions: int = 6, replication: int = 1) -> list[str]:
    """Make Kafka's topics what `specs` says, and return when every broker that leads one knows it.

    Missing topics are created, settings that differ are set, partitions are added; nothing is ever removed, and a
    setting that an operator added stays. Adding partitions to a topic in use moves keys to other partitions, so
    records of one key are out of order across that moment. May run twice at once.

    Parameters
    ----------
    bootstrap
        Kafka's addresses, comma-separated.
    partitions
        Of an event's topic; one that has more keeps them.
    replication
        Copies of a new topic; from three on, a write needs two of them.

    Returns
    -------
    list of str
        What was changed, a line each; empty when all was as it should be.

    Raises
    ------
    aiokafka.errors.KafkaError
        Kafka does not answer or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = specs(partitions=partitions)
        made = await _create(admin, wanted, replication)
        sizes = await _visible(admin, {spec.name: 1 for spec in wanted})
        grown = await _grow(admin, wanted, sizes)
        return [*made, *grown, *await _configure(admin, wanted, replication)]
    finally:
        await admin.close()


def _config(spec: TopicSpec, replication: int) -> dict[str, str]:
    return {**spec.config, **({"min.insync.replicas": "2"} if replication >= 3 else {})}


async def _create(admin: AIOKafkaAdminClient, wanted: Sequence[TopicSpec], replication: int) -> list[str]:
    there = set(await admin.list_topics())
    missing = {spec.name: spec for spec in wanted if spec.name not in there}
    if not missing:
        return []
    answer = await admin.create_topics(
        [
            NewTopic(name, spec.partitions, replication, topic_configs=_config(spec, replication))
            for name, spec in missing.items()
        ]
    )
    done = []
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code == 0:
            done.append(f"created {name} with {missing[name].partitions} partitions")
        elif error is not TopicAlreadyExistsError:
            raise error(f"could not create {name}: {message[0] if message else ''}")
    return done


async def _visible(admin: AIOKafkaAdminClient, at_least: Mapping[str, int]) -> dict[str, int]:
    """Wait until each topic has so many partitions and each of them a leader; return how many each has."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        sizes = {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics(list(at_least))
            if topic["error_code"] == 0 and all(part["error_code"] == 0 for part in topic["partitions"])
        }
        absent = [name for name, least in at_least.items() if sizes.get(name, 0) < least]
        if not absent:
            return sizes
        if time.monotonic() > deadline:
            raise KafkaError(f"not there after {_WAIT_SECONDS:.0f} s: {', '.join(absent)}")
        await asyncio.sleep(_POLL_SECONDS)


async def _grow(admin: AIOKafkaAdminClient, wanted: Sequence[TopicSpec], sizes: Mapping[str, int]) -> list[str]:
    short = {spec.name: spec.partitions for spec in wanted if sizes[spec.name] < spec.partitions}
    if not short:
        return []
    with suppress(InvalidPartitionsError):  # somebody else added them meanwhile
        await admin.create_partitions({name: NewPartitions(total) for name, total in short.items()})
    await _visible(admin, short)
    return [f"{name} grew from {sizes[name]} to {total} partitions" for name, total in short.items()]


async def _configure(admin: AIOKafkaAdminClient, wanted: Sequence[TopicSpec], replication: int) -> list[str]:
    """Set what differs, and wait until the brokers say so, too."""
    asked: dict[str, str] = {}
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        there = await _configs(admin, [spec.name for spec in wanted])
        resources = []
        for spec in wanted:
            present, should = there[spec.name], _config(spec, replication)
            if differing := {key: value for key, value in should.items() if present.get(key) != value}:
                asked[spec.name] = ", ".join(f"{key}={value}" for key, value in sorted(differing.items()))
                # The request replaces all of a topic's own settings, so those that are there go with it.
                resources.append(ConfigResource(ConfigResourceType.TOPIC, spec.name, {**present, **differing}))
        if not resources:
            return [f"{name} set {settings}" for name, settings in asked.items()]
        if time.monotonic() > deadline:
            raise KafkaError(f"settings not in force after {_WAIT_SECONDS:.0f} s: {', '.join(asked)}")
        for answer in await admin.alter_configs(resources):
            for code, message, _type, name in answer.resources:
                if code:
                    raise for_code(code)(f"could not set {name}: {message}")
        await asyncio.sleep(_POLL_SECONDS)


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """Settings of each topic that are its own, not the broker's."""
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, message, _type, name, entries in answer.resources:
            if code:
                raise for_code(code)(f"could not read {name}: {message}")
            own = 1  # the source "dynamic topic configuration"
            found[name] = {key: value for key, value, _ro, source, *_rest in entries if source == own}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the topics are as they should be."""
    parser = argparse.ArgumentParser(prog="python -m common.topics", description=__doc__)
    parser.add_argument("command", choices=["apply", "list"])
    parser.add_argument("--partitions", type=int, default=6, help="of an event's topic (default: %(default)s)")
    parser.add_argument("--replication", type=int, default=1, help="copies of each new topic (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        for spec in specs(partitions=chosen.partitions):
            print(f"{spec.name} partitions={spec.partitions}", *(f"{k}={v}" for k, v in spec.config.items()))
        return 0
    bootstrap = CommonSettings().kafka
    try:
        done = asyncio.run(apply(bootstrap, partitions=chosen.partitions, replication=chosen.replication))
    except KafkaError as error:
        print(f"Kafka at {bootstrap}: {error}", file=sys.stderr)
        return 1
    print("\n".join(done) or "all topics are as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
