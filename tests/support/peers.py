"""Programs that are compared with ours, in a virtual environment of their own, each driven over its standard input."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from support.waiting import until

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "tests" / "bench" / "peers.txt"
PROGRAMS = ROOT / "tests" / "bench" / "peers"


def peers_python() -> Path:
    """The Python that has what ``peers.txt`` names; made in ``build/peers`` when it is missing or names changed."""
    home = ROOT / "build" / "peers"
    python, done = home / "bin" / "python", home / "installed.txt"
    if not done.exists() or done.read_text() != PINNED.read_text():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", PINNED], check=True)
        shutil.copyfile(PINNED, done)
    return python


class Driven:
    """A program that reads a request a line and answers each with a line of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, *words: object) -> Any:
        """Send one request; its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            msg = f"{self.process.args!r} ended with {self.process.wait()}"
            raise RuntimeError(msg)
        return json.loads(line)


@contextmanager
def driven(*command: object, env: dict[str, str] | None = None) -> Iterator[Driven]:
    """A program for the length of the block; its standard error is ours."""
    with subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            yield Driven(process)
        finally:
            process.terminate()


def cpu_seconds(*pids: int) -> float:
    """CPU seconds that processes and what descends from them have used so far; ended descendants are not counted."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def listens(port: int) -> bool:
    """Whether something on this machine accepts connections on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_until_listening(port: int, *, seconds: float = 20.0) -> None:
    """Wait until something on this machine accepts connections on a port."""
    until(lambda: listens(port), seconds=seconds, every=0.05, why=f"something listens on {port}")
