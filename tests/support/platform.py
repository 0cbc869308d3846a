"""The real Kafka and PostgreSQL a test session runs on, started when the first test asks for them."""

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from scribewire_local.kafka import Kafka
from scribewire_local.pguser import Account, programs
from scribewire_local.postgres import Postgres

START_SECONDS: dict[str, float] = {}
"""How long the first start of each part took in this session, for the summary."""


@contextmanager
def running_kafka(*, port: int | None = None, properties: Mapping[str, str] | None = None) -> Iterator[Kafka]:
    """Kafka in a folder of its own, gone afterwards, also when this process is killed."""
    began = time.monotonic()
    with folder_of("kafka") as folder, Kafka(folder, port=port, properties=properties, die_with_parent=True) as kafka:
        START_SECONDS.setdefault("kafka", time.monotonic() - began)
        yield kafka


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """PostgreSQL in a folder of its own, gone afterwards, also when this process is killed."""
    began = time.monotonic()
    with folder_of("postgres") as folder:
        server = Postgres(
            folder / "data", password_file=folder / "password", log=folder / "postgres.log", die_with_parent=True
        )
        with server:
            START_SECONDS.setdefault("postgres", time.monotonic() - began)
            yield server


def fresh_database(dsn: str) -> str:
    """Make a new, empty database on the server of `dsn` and return its address."""
    name = f"test_{uuid.uuid4().hex}"
    psql = str(programs(Account()) / "psql")
    subprocess.run([psql, "-qX", "-d", dsn, "-c", f"CREATE DATABASE {name}"], check=True, capture_output=True)
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """A folder for a part, gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix=f"scribewire-test-{name}-"))
    # PostgreSQL runs as another user when the tests run as root; it must be able to enter.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
