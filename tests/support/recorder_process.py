"""A recorder as a process of its own, and what its database holds."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

TABLES = {
    "jobs": "id",
    "translations": "job_id, language",
    "utterances": "job_id, index",
    "usage": "id",
    "projection_offsets": "topic, partition",
}


def environment(kafka: str, dsn: str, blobs: Path) -> dict[str, str]:
    """What a recorder needs to know, and nothing else of this process's environment."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return inherited | {"SCRIBEWIRE_KAFKA": kafka, "DATABASE_URL": dsn, "SCRIBEWIRE_BLOBS": blobs.as_uri()}


@asynccontextmanager
async def recorder_process(env: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A recorder that was just started; killed afterwards unless it has ended."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "recorder"), env=env, cwd=log.parent, stdout=output, stderr=output
        )
    try:
        yield process
    except BaseException:
        print("\n".join(log.read_text(errors="replace").splitlines()[-30:]))
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def rows_of(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Every column of every row of the projection, in the order of the keys."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            table: [dict(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY {key}")]
            for table, key in TABLES.items()
        }
    finally:
        await connection.close()
