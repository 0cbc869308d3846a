"""Azurite, Microsoft's own stand-in for Azure Blob Storage, as a process on this machine for tests."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scribewire_local.ports import HOST, free_port
from support.waiting import until

VERSION = "3.37.0"
_ACCOUNT = "devstoreaccount1"
# The account and key are public: they are the same in every Azurite and open nothing else.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_MAIN = Path("node_modules/azurite/dist/src/blob/main.js")


class NoAzurite(Exception):  # noqa: N818 - a state of the machine, not a fault
    """Azurite cannot run here; the message says what is missing."""


@contextmanager
def running_azurite() -> Iterator[str]:
    """Run Azurite on a free port with a folder of its own; yield its connection string.

    Raises
    ------
    NoAzurite
        There is no node or no npm, or the package cannot be had.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoAzurite("needs node and npm")
    program = _installed(npm)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="scribewire-test-azurite-") as folder:
        log = Path(folder, "azurite.log")
        listening = ["--blobHost", HOST, "--blobPort", str(port), "--location", folder]
        command = [node, str(program), *listening, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            until(lambda: process.poll() is not None or _answers(port), seconds=30, every=0.05, why="Azurite answers")
            assert process.poll() is None, log.read_text()
            yield (
                f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
                f"BlobEndpoint=http://{HOST}:{port}/{_ACCOUNT};"
            )
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(port: int) -> bool:
    import socket

    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _installed(npm: str) -> Path:
    """The program in the cache folder; put there first, by one session at a time, whole or not at all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scribewire"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"azurite-{VERSION}"
    with (cache / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / _MAIN).exists():
            with tempfile.TemporaryDirectory(prefix="azurite-", dir=cache) as fresh:
                command = [npm, "install", "--prefix", fresh, "--no-audit", "--no-fund", "--ignore-scripts",
                           f"azurite@{VERSION}"]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
                if done.returncode != 0:
                    raise NoAzurite(f"npm could not install it: {done.stderr.strip()[-500:]}")
                shutil.rmtree(home, ignore_errors=True)
                Path(fresh).rename(home)
                Path(fresh).mkdir()  # for the clean-up of the temporary folder
    return home / _MAIN
