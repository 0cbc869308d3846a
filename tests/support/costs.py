"""What the services of a running platform cost: CPU seconds, children's included, and peak resident memory."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from scribewire_local.parts import SERVICES
from support.running import Running

_MIB = 1024


class Costs:
    """The service processes of a platform as they are now; a service that is started anew is not followed.

    Parameters
    ----------
    platform
        It must be up.
    """

    def __init__(self, platform: Running) -> None:
        self._processes = {
            part["name"]: psutil.Process(part["pid"])
            for part in platform.status()["parts"]
            if part["name"].split("-")[0] in SERVICES
        }

    def cpu(self, names: Sequence[str] = ()) -> float:
        """CPU seconds so far of services, by default of all, with their children, those that ended included."""
        return sum(_cpu(process) for name, process in self._processes.items() if not names or name in names)

    def forget_peaks(self) -> None:
        """Let peaks count from now."""
        for process in self._processes.values():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peaks(self) -> dict[str, float]:
        """MiB that each service's own process had resident at most."""
        return {name: _peak(process.pid) for name, process in self._processes.items()}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    return spent + sum(_cpu(child) for child in process.children())


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(found.split()[1]) / _MIB
