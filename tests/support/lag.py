"""How far consumer groups are behind."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


async def behind(bootstrap: str) -> dict[str, int]:
    """Records that each group with committed offsets has still to commit, where there are any."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await consumer.start()
    try:
        found: dict[str, int] = {}
        for group, _kind in await admin.list_consumer_groups():
            committed: dict[TopicPartition, int] = {
                partition: meta.offset for partition, meta in (await admin.list_consumer_group_offsets(group)).items()
            }
            ends = await consumer.end_offsets(list(committed)) if committed else {}
            left = sum(max(0, ends[partition] - max(0, offset)) for partition, offset in committed.items())
            if left:
                found[group] = left
        return found
    finally:
        await consumer.stop()
        await admin.close()
