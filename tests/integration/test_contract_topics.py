"""Topics are made from the registry on a real Kafka: again and again, by several at once, never less than before."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from common.topics import apply, specs
from support.platform import running_kafka


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[str]:
    """A Kafka of this module's own: adding partitions to the session's would disturb others."""
    with running_kafka() as kafka:
        yield kafka.bootstrap


async def configs(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for entry in answers[0].resources[0][4]}
    finally:
        await admin.close()


async def sizes(bootstrap: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}
    finally:
        await admin.close()


async def test_apply_heals_creates_and_grows(own_kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka)
    await admin.start()
    await admin.create_topics(
        [NewTopic("job.completed", 9, 1, topic_configs={"retention.ms": "77", "segment.bytes": "1048576"})]
    )
    await admin.close()

    first, second = await asyncio.gather(apply(own_kafka, partitions=2), apply(own_kafka, partitions=2))
    assert any(line.startswith("created transcript.completed ") for line in first + second)
    found = await sizes(own_kafka)
    for spec in specs(partitions=2):
        expected = 9 if spec.name == "job.completed" else spec.partitions
        assert found[spec.name] == expected, spec.name

    healed = await configs(own_kafka, "job.completed")
    assert healed["cleanup.policy"] == "compact"
    assert healed["segment.bytes"] == "1048576", "a setting of the operator's own stays"

    assert await apply(own_kafka, partitions=2) == []
    grown = await asyncio.gather(apply(own_kafka, partitions=3), apply(own_kafka, partitions=3))
    assert "segment.transcribed grew from 2 to 3 partitions" in grown[0] + grown[1]
    assert (await sizes(own_kafka))["segment.transcribed"] == 3
    assert await apply(own_kafka, partitions=1) == [], "partitions are never taken away"


async def test_every_topic_has_the_registry_s_settings(own_kafka: str) -> None:
    await apply(own_kafka, partitions=2)
    for spec in specs():
        found = await configs(own_kafka, spec.name)
        assert {key: found[key] for key in spec.config} == dict(spec.config), spec.name


async def test_command_line(own_kafka: str) -> None:
    command = [sys.executable, "-m", "common.topics", "apply", "--partitions=1"]
    done = subprocess.run(command, env={"SCRIBEWIRE_KAFKA": own_kafka}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    down = subprocess.run(command, env={"SCRIBEWIRE_KAFKA": "127.0.0.1:9"}, capture_output=True, text=True, check=False)
    assert down.returncode == 1
    assert "Kafka at 127.0.0.1:9" in down.stderr
    assert "Traceback" not in down.stderr
