"""A whole platform on this machine for tests, driven as a user drives it: by its command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from scribewire_local.marks import marked
from scribewire_local.ports import free_port
from support.waiting import until

T = TypeVar("T")
SCRIBEWIRE = Path(sys.executable).with_name("scribewire")


class Running:
    """A platform in its own home; every method is what the command line or the operating system offers."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home = home
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DEEPGRAM_", "OPENAI_"))},
            "SCRIBEWIRE_HOME": str(home),
            "SCRIBEWIRE_PORT": str(free_port()),
            "NO_COLOR": "1",
            # A test that sends the same bytes again means to have the work done again.
            "SCRIBEWIRE_REUSE": "false",
            **env,
        }

    def cli(self, *args: str | Path, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `scribewire ARGS` and return what it said; never raises for its exit code."""
        return subprocess.run(
            [SCRIBEWIRE, *map(str, args)], env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )

    def up(self) -> None:
        """Start everything and wait until it is ready."""
        done = self.cli("up", "--detach")
        assert done.returncode == 0, done.stdout + done.stderr

    def down(self) -> None:
        """Stop everything."""
        done = self.cli("down")
        assert done.returncode == 0, done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        """What `scribewire status --json` prints."""
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def part(self, name: str) -> dict[str, Any]:
        """One part of the status."""
        found: dict[str, Any] = next(p for p in self.status()["parts"] if p["name"] == name)
        return found

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a running part and return the pid that got it."""
        pid: int = until(lambda: self.part(name)["pid"], seconds=60, why=f"{name} has a pid")
        os.kill(pid, number)
        return pid

    def restarted(self, name: str, old_pid: int, *, seconds: float = 60) -> None:
        """Wait until a part runs again under another pid."""

        def again() -> bool:
            part = self.part(name)
            return bool(part["state"] == "running" and part["pid"] != old_pid)

        until(again, seconds=seconds, why=f"{name} runs again")

    @property
    def url(self) -> str:
        """The gateway's address."""
        return f"http://127.0.0.1:{self.env['SCRIBEWIRE_PORT']}"

    @property
    def key(self) -> str:
        """The operator key."""
        return (self.home / "operator.key").read_text().strip()


@contextmanager
def running(env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A platform that is up inside the block and gone after it, home and all; its logs are shown on a failure."""
    with _home() as home:
        platform = Running(home, env or {})
        try:
            platform.up()
            yield platform
        except BaseException:
            for log in sorted((home / "logs").glob("*.log")):
                print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))
            raise
        finally:
            platform.down()
        assert not marked(home), "a process was left behind"


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="scribewire-test-home-"))
    # As root PostgreSQL runs as another user; where that user cannot enter, its data would go under /var/lib and stay.
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
