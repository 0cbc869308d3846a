"""The session's Kafka and PostgreSQL answer real clients, and a fresh database is empty."""

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from support.platform import fresh_database


async def test_a_record_goes_through_kafka(kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("local.fixture", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait("local.fixture", b"hello")
    consumer = AIOKafkaConsumer(
        "local.fixture", bootstrap_servers=kafka_bootstrap, group_id="local.fixture", auto_offset_reset="earliest"
    )
    async with consumer:
        assert (await consumer.getone()).value == b"hello"


async def test_databases_are_fresh_and_apart(postgres_dsn: str) -> None:
    other_dsn = fresh_database(postgres_dsn)
    for dsn in (postgres_dsn, other_dsn):
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE only_mine (i int)")
        await connection.close()
