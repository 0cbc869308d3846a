"""`scribewire rebuild`: the recorder's rebuild with a progress bar."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_READ = re.compile(r"read (\d+) of (\d+) records")
_LAST_WORDS = 5


def rebuild(environment: Mapping[str, str], log: Path, console: Console) -> int:
    """Run it to its end; return its exit status.

    Parameters
    ----------
    environment
        What the services of the running platform get.
    log
        File for what it logs; the end of it is shown when it fails.
    console
        Where the bar and the result are shown.
    """
    columns = (TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeElapsedColumn())
    with (
        log.open("wb") as errors,
        Progress(*columns, console=console) as progress,
        subprocess.Popen(
            [sys.executable, "-m", "recorder", "rebuild"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        bar = progress.add_task("", total=None)
        for line in process.stdout or ():
            if found := _READ.fullmatch(line.strip()):
                progress.update(bar, completed=int(found[1]), total=int(found[2]))
            else:
                console.print(line.strip(), soft_wrap=True, highlight=False)
    if process.returncode != 0:
        console.print("\n".join(log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]), markup=False)
        console.print(f"(log: {log})", soft_wrap=True)
    return process.returncode
