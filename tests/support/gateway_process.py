"""A gateway as a process of its own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

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


@asynccontextmanager
async def gateway_process(
    kafka: str, dsn: str, folder: Path, **more: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A gateway that is ready, and its address; killed afterwards unless it has ended. Its log is ``gateway.log``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with (folder / "gateway.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway"),
            env=environment(folder, SCRIBEWIRE_KAFKA=kafka, DATABASE_URL=dsn, PORT=str(port), **more),
            cwd=folder,
            stderr=output,
        )
    try:
        async with aiohttp.ClientSession(url) as http:

            async def ready() -> bool:
                try:
                    async with http.get("/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(ready, seconds=30)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
