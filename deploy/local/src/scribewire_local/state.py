"""What runs in a home: written by the supervisor at every change, read by `status` and `down`."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from scribewire_local.process import is_same

PartState = Literal["running", "starting", "restarting", "stopped"]


@dataclass
class PartStatus:
    """One part as people and programs see it."""

    name: str
    port: int
    log: str
    pid: int | None = None
    state: PartState = "stopped"
    started: float | None = None
    """When the process was started, seconds since the epoch: tells it from a later one with its number."""
    seconds: float | None = None
    """How long its last start took until it was ready."""


@dataclass
class GatewayAddress:
    """Where the gateway is and which file holds the key to it; clients on this machine read it from the state file."""

    url: str
    key_file: str


@dataclass
class State:
    """Everything about one home's supervisor and parts."""

    supervisor: int
    supervisor_started: float
    gateway: GatewayAddress
    parts: list[PartStatus] = field(default_factory=list)
    phase: str = "starting"
    """`starting`, `ready` (every part was ready once), `stopping`, `stopped` or `failed`."""
    doing: str = ""
    """What the start is busy with, for people."""
    error: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the state in a file, or None where there is none that can be read."""
        try:
            raw = json.loads(path.read_text())
            gateway = GatewayAddress(**raw.pop("gateway"))
            parts = [PartStatus(**part) for part in raw.pop("parts")]
            return cls(**raw, gateway=gateway, parts=parts)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that a reader never sees half of it."""
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.replace(path)

    def supervised(self) -> bool:
        """Whether the supervisor that wrote this is alive."""
        return is_same(self.supervisor, self.supervisor_started)

    def checked(self) -> "State":
        """Return this with the state of every part that has died since put right."""
        supervised = self.supervised()
        for part in self.parts:
            alive = part.pid is not None and part.started is not None and is_same(part.pid, part.started)
            if not alive:
                part.pid = None
                part.state = "restarting" if supervised and part.state != "stopped" else "stopped"
        if not supervised and self.phase not in {"failed", "stopped"}:
            self.phase = "stopped"
        return self

    def port_of(self, name: str) -> int | None:
        """Return the port of a part."""
        return next((part.port for part in self.parts if part.name == name), None)
