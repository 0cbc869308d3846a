"""The `scribewire` command as a user runs it, in a home of its own, against a gateway of the test's choosing.

Each run is a process of its own. Most are forked from one that has imported the command line already: Python takes
half a second to do that, and most commands far less to run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path


@dataclass
class CommandLine:
    """Runs `scribewire` with nothing of the real user's around it.

    Parameters
    ----------
    home
        Folder for what it keeps.
    variables
        Environment variables of every run.
    """

    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The environment of a run."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("SCRIBEWIRE_", "XDG_"))}
        folders = {f"XDG_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE")}
        return known | folders | {"NO_COLOR": "1"} | self.variables

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a run as a program of its own, which signals can be sent to."""
        return subprocess.Popen(
            [sys.executable, "-m", "scribewire", *words],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Who runs the tests in the background may ignore Ctrl-C, as shells do, and what it starts would as well.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - takes no lock
        )

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            files[0].write_text(stdin)
            request = {"words": words, "environment": self.environment(), "files": [str(file) for file in files]}
            status = _warm().ask(json.dumps(request))
            return subprocess.CompletedProcess(words, status, files[1].read_text(), files[2].read_text())


class _Warm:
    """A process that has imported the command line; it ends with this one, as its input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("warm_program.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._alone = threading.Lock()

    def ask(self, request: str) -> int:
        """Run what a request says; its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._alone:
            print(request, file=self._process.stdin, flush=True)
            return int(self._process.stdout.readline())


@cache
def _warm() -> _Warm:
    return _Warm()
