"""Which member of a consumer group holds which partitions, as Kafka sees it."""

import asyncio
from collections import defaultdict
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment


def holders(bootstrap: str, service: str) -> dict[str, set[TopicPartition]]:
    """The partitions that each member of a service's groups holds; a member's name is its own for its life."""
    return asyncio.run(_holders(bootstrap, service))


async def _holders(bootstrap: str, service: str) -> dict[str, set[TopicPartition]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await _groups(admin) if name.split(".")[0] == service]
        # One at a time: aiokafka reads the answer for several groups by an older schema, and wrongly.
        answers: list[Any] = [answer for name in names for answer in await admin.describe_consumer_groups([name])]
    finally:
        await admin.close()
    found: dict[str, set[TopicPartition]] = defaultdict(set)
    for answer in answers:
        for _error, group, _state, _kind, _protocol, members, *_ in answer.groups:
            for member, _client, _host, _metadata, assignment in members:
                if assignment:
                    topics = ConsumerProtocolMemberAssignment.decode(assignment).assignment
                    held = {TopicPartition(topic, number) for topic, numbers in topics for number in numbers}
                    found[f"{group} {member}"] |= held
    return dict(found)


async def _groups(admin: AIOKafkaAdminClient) -> list[str]:
    return [name for name, *_ in await admin.list_consumer_groups()]
