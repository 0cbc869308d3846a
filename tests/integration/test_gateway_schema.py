"""What anybody may send: the whole API as its document describes it, tried by schemathesis with a key and without."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.gateway import KEY, RunningGateway, prepare, running_gateway
from support.platform import fresh_database
from support.promises import FULL

EXAMPLES = 200 if FULL else 8
SKIPPED = ("watch_job",)
"""Answers with a stream that ends when the job does."""

UNFIT = "positive_data_acceptance"
"""What no engine here can do is refused with a documented 422, which no schema can foresee."""

UNFIT_FOR_STRANGERS = f"{UNFIT},unsupported_method"
"""A stranger is asked for a key before anything else, and learns nothing of which methods there are."""


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("schema"), delete_seconds=0.2) as running:
        yield running


@pytest.mark.parametrize("key", [KEY, None], ids=["key", "stranger"])
async def test_nothing_the_document_allows_is_answered_in_another_way(
    gateway: RunningGateway, key: str | None, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "20", "--continue-on-failure"),
        *(
            "--checks",
            "all",
            "--exclude-checks",
            UNFIT if key else UNFIT_FOR_STRANGERS,
            "--no-color",
            "--generation-database",
            "none",
        ),
        *(part for name in SKIPPED for part in ("--exclude-operation-id", name)),
        *(("--header", f"Authorization: Bearer {key}") if key else ()),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path, env=dict(os.environ)
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")[-8000:]
