"""How the processes of one home are found again, whoever started them and whatever became of their parent."""

import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_VARIABLE = "SCRIBEWIRE_PART"
# PostgreSQL ends open sessions and writes everything on SIGINT; on SIGTERM it would wait for its clients.
_FIRST_SIGNAL = {"postgres": signal.SIGINT}
# What others rely on goes last.
_ORDER = ("gateway", "", "postgres", "kafka")


def marks(home: Path, part: str) -> dict[str, str]:
    """Environment that marks a process, and every process it starts, as a part of `home`."""
    return {_VARIABLE: f"{part}@{home}"}


def marked(home: Path) -> dict[str, list[psutil.Process]]:
    """Every living process of `home`, by part; zombies do not count."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            part, _, folder = process.environ().get(_VARIABLE, "").partition("@")
            if folder == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.setdefault(part, []).append(process)
        except psutil.Error:
            continue
    return found


def end_marked(home: Path, *, grace: float = 20.0) -> list[str]:
    """End what is left of `home`, gateway first, Kafka last, each kindly and then for certain; name what was there."""
    found = marked(home)
    for step in _ORDER:
        parts = [part for part in found if (part in _ORDER and part == step) or (step == "" and part not in _ORDER)]
        _end([process for part in parts for process in found[part]], parts, grace)
    return sorted(found)


def _end(processes: list[psutil.Process], parts: Iterable[str], grace: float) -> None:
    first = next((_FIRST_SIGNAL[part] for part in parts if part in _FIRST_SIGNAL), signal.SIGTERM)
    told: set[psutil.Process] = set()
    deadline = time.monotonic() + grace
    while (alive := {process for process in processes if _lives(process)}) and time.monotonic() < deadline:
        for process in alive - told:
            # The eldest tells its own children; telling them too would cut its drain short.
            if _parent(process) not in alive:
                _send(process, first)
                told.add(process)
        time.sleep(0.05)
    for process in alive:
        _send(process, signal.SIGKILL)
    while any(_lives(process) for process in alive):
        time.sleep(0.05)


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.Error:
        return None


def _send(process: psutil.Process, wanted: signal.Signals) -> None:
    try:
        process.send_signal(wanted)
    except psutil.Error:
        pass


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
