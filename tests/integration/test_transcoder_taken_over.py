"""A decoder that a file has taken over can compute and say what it decoded, and nothing else."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from support.hostile import probe
from transcoder.worker.sandbox import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can shut a process in")

LIMITS = Limits(cpu_seconds=30, memory_mib=1024, uid=65534)


@dataclass
class Targets:
    """What a probe goes for; see `support.hostile.probe.attempts`."""

    file: str
    blob: str
    port: int
    service: int


@pytest.fixture
def targets() -> Iterator[Targets]:
    """Two files that every user may read, and a port that answers."""
    with tempfile.TemporaryDirectory() as made, socket.create_server(("127.0.0.1", 0)) as server:
        folder = Path(made)
        folder.chmod(0o777)
        for name in ("file", "file.spare", "blob"):
            (folder / name).write_text("secret")
            (folder / name).chmod(0o666)
        yield Targets(str(folder / "file"), str(folder / "blob"), server.getsockname()[1], os.getpid())


def tried(targets: Targets, *without: str, expected: Collection[str] = ()) -> dict[str, Any]:
    argument = json.dumps({"limits": asdict(LIMITS), "targets": asdict(targets), "without": without})
    env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(probe.__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-m", "support.hostile.probe", argument],
        capture_output=True, text=True, check=False, timeout=60, env=env, cwd="/",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout)
    assert "the probe broke" not in told["succeeded"], told["succeeded"]["the probe broke"]
    assert told["done"] != ("run a program" in expected), told
    return told


def test_nothing_succeeds(targets: Targets) -> None:
    told = tried(targets)
    if told["ready"]["missing"]:
        pytest.skip(f"this system lacks {told['ready']['missing']}")
    assert told["succeeded"] == {}


def test_without_seccomp_no_file_address_program_or_process_is_reached(targets: Targets) -> None:
    told = tried(targets, "allow_only_computing")
    assert "seccomp" in told["ready"]["missing"]
    if {"landlock", "no network"} - set(told["ready"]["held"]):
        pytest.skip(f"this system lacks {told['ready']['missing']}")
    assert set(told["succeeded"]) <= ONLY_SECCOMP


def test_without_landlock_nothing_succeeds(targets: Targets) -> None:
    told = tried(targets, "forbid_paths")
    assert "landlock" in told["ready"]["missing"]
    if "seccomp" not in told["ready"]["held"]:
        pytest.skip(f"this system lacks {told['ready']['missing']}")
    assert told["succeeded"] == {}


def test_the_probe_can_succeed(targets: Targets) -> None:
    """Without a sandbox most of what the probe tries works, so that its failures mean something."""
    expected = {
        "open a file", "open another tenant's upload", "list a folder", "write a file", "remove a file", "connect",
        "send a datagram", "fork", "make a thread", "see the service", "make memory executable", "run a program",
    }  # fmt: skip
    layers = ("allow_only_computing", "forbid_paths", "_limit", "_stay_in_empty_folder", "_become", "leave_network")
    told = tried(targets, *layers, expected=expected)
    assert expected - {"run a program"} <= set(told["succeeded"])


ONLY_SECCOMP = {
    "look at a file", "look at another tenant's upload", "look at a process", "look at a file by statx",
    "make a local socket", "ask the kernel's network", "make a file in memory", "run what it wrote",
    "make memory executable", "have the kernel signal the service", "hold the service", "leave its namespaces",
    "use io_uring", "handle page faults", "use the key ring",
}  # fmt: skip
"""What nothing but seccomp refuses: names of files, and parts of the kernel that reach nothing by themselves."""
