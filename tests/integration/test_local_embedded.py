"""Kafka and PostgreSQL on this machine keep what they acknowledged when they are killed, on the same port."""

import os
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from scribewire_local import java, pguser
from scribewire_local.process import ChildProcess, PartFailed
from support.platform import running_kafka, running_postgres


@pytest.mark.slow
async def test_kafka_keeps_its_records_over_a_kill() -> None:
    with running_kafka() as kafka:
        bootstrap, first = kafka.bootstrap, kafka.pid
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for number in range(100):
                await producer.send_and_wait("kept", str(number).encode())
        kafka.kill()
        assert not kafka.ready()
        kafka.start()
        assert (kafka.bootstrap, kafka.pid == first) == (bootstrap, False)
        consumer = AIOKafkaConsumer("kept", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        async with consumer:
            values = [int((await consumer.getone()).value) for _ in range(100)]
        assert values == list(range(100))


async def test_kafka_makes_no_topic_by_itself(kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.describe_topics(["never.declared"])
    assert "never.declared" not in await admin.list_topics()
    await admin.close()


async def test_postgres_keeps_its_rows_over_a_kill() -> None:
    with running_postgres() as server:
        dsn, first = server.dsn, server.pid
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS i")
        # A session in mid-transaction must not keep the new server from starting.
        await connection.execute("BEGIN")
        server.kill()
        assert not server.ready()
        server.start()
        assert (server.dsn, server.pid == first) == (dsn, False)
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1000
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.close()


async def test_postgres_wants_the_password_and_listens_on_loopback_only(postgres_server_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_server_dsn)
    assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server_dsn, password="wrong")


def test_a_stale_pid_file_with_a_living_number_does_not_stop_postgres() -> None:
    with running_postgres() as server:
        data = server.folder.resolve()
        server.kill()
        lines = (data / "postmaster.pid").read_text().splitlines()
        (data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        server.start()
        assert server.ready()


def test_postgres_goes_elsewhere_where_its_user_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Barred(pguser.Account):
        def reaches(self, path: Path) -> bool:
            return False

    shared = tmp_path / "shared"
    monkeypatch.setattr(pguser, "_SHARED", shared)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = closed.stat().st_mode
    folder = pguser.data_folder(closed / "postgres", Barred())
    assert folder.parent == shared
    assert (closed / "postgres").readlink() == folder
    assert closed.stat().st_mode == before
    assert pguser.data_folder(closed / "postgres", Barred()) == folder
    programs = pguser.programs(Barred())
    assert programs.is_relative_to(shared)
    assert (programs / "postgres").exists()
    assert pguser.programs(Barred()) == programs


def test_the_second_look_for_the_jars_needs_no_network(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        pytest.fail("resolved again")

    monkeypatch.setattr(java, "_resolve", refuse)
    assert all(jar.exists() for jar in java.kafka_jars())


def test_a_program_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    process = ChildProcess("thing", tmp_path / "thing.log")
    process.start(["sh", "-c", "echo it is Tuesday; exit 3"])
    with pytest.raises(PartFailed, match=r"thing ended with status 3(.|\n)*it is Tuesday"):
        process.wait_ready(lambda: False, 10.0)
