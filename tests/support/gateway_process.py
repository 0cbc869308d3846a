"""A gateway as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from scribewire_local.ports import free_port
from support.gateway import KEY, encryption_keys
from support.waiting import eventually


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a gateway needs to know, and nothing else of this process's environment."""
    key_file = folder / "operator.key"
    key_file.write_text(KEY)
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return inherited | {
        "SCRIBEWIRE_OPERATOR_KEY_FILE": str(key_file),
        "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(encryption_keys(folder)),
        "SCRIBEWIRE_BLOBS": (folder / "blobs").as_uri(),
        # A test that sends the same bytes again means to have the work done again.
        "SCRIBEWIRE_REUSE": "false",
        **more,
    }


async def start_gateway(
    kafka: str, dsn: str, folder: Path, port: int, **more: str
) -> tuple[asyncio.subprocess.Process, str]:
    """Start a gateway and wait until it is ready; its log goes on in ``gateway.log``."""
    url = f"http://127.0.0.1:{port}"
    with (folder / "gateway.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway"),
            env=environment(folder, SCRIBEWIRE_KAFKA=kafka, DATABASE_URL=dsn, PORT=str(port), **more),
            cwd=folder,
            stderr=output,
        )
    async with aiohttp.ClientSession(url) as http:

        async def ready() -> bool:
            try:
                async with http.get("/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        try:
            await eventually(ready, seconds=30)
        except BaseException:
            await kill(process)
            raise
    return process, url


async def kill(process: asyncio.subprocess.Process) -> None:
    """End a process with SIGKILL, unless it has ended."""
    if process.returncode is None:
        process.kill()
        await process.wait()


@asynccontextmanager
async def gateway_process(
    kafka: str, dsn: str, folder: Path, **more: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A gateway that is ready, and its address; killed afterwards unless it has ended. Its log is ``gateway.log``."""
    process, url = await start_gateway(kafka, dsn, folder, free_port(), **more)
    try:
        yield process, url
    finally:
        await kill(process)
