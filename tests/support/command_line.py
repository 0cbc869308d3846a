"""The `scribewire` command as a user runs it, in a home of its own, against a gateway of the test's choosing.

Each run is a process of its own. Most are forked from one that has imported the command line already: Python takes
half a second to do that, and most commands far less to run.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["scribewire.cli"])


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
        )

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            files[0].write_text(stdin)
            process = _FORKS.Process(target=_run, args=(words, self.environment(), [str(file) for file in files]))
            process.start()
            process.join(60)
            if process.exitcode is None:
                process.kill()
                raise AssertionError(f"scribewire {' '.join(words)} did not end: {files[2].read_text()}")
            out, err = (file.read_text() for file in files[1:])
            return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _run(words: Sequence[str], environment: Mapping[str, str], files: Sequence[str]) -> None:
    """Be the program: its arguments, its environment, and files for its three streams."""
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
        os.dup2(os.open(file, flags, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - for good
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["scribewire", *words]
    from scribewire.cli import main

    main()
