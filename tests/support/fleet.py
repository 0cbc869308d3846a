"""The six services as plain processes on given parts, kept running as an orchestrator would keep them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scribewire_local.keeper import Backoff, Keeper
from scribewire_local.parts import ONE_SHOTS, SERVICES
from scribewire_local.ports import HOST, free_port
from scribewire_local.service import Service
from support.gateway import encryption_keys
from support.waiting import until

KEY = "sw-operator-key-of-the-fault-runs"
_AT_ONCE = Backoff(first=0.05, longest=1.0)
_LOG_LINES = 40


@dataclass
class Life:
    """One process of a member from its start to its end; times are ``time.time()``.

    ``ready`` is when its ``/readyz`` first said so; ``code`` its exit status, negative for a signal; ``told`` and
    ``told_at`` the first signal it got from the fleet.
    """

    member: str
    pid: int
    started: float
    ready: float | None = None
    ended: float | None = None
    code: int | None = None
    told: signal.Signals | None = None
    told_at: float | None = None

    @property
    def service(self) -> str:
        """Which of the six services it is."""
        return service_of(self.member)


class Member(Service):
    """One process of a service at a time, and the lives it has had."""

    def __init__(self, name: str, *, port: int, environment: Mapping[str, str], log: Path) -> None:
        super().__init__(
            name,
            module=service_of(name),
            port=port,
            environment=environment,
            log=log,
            death_signal=signal.SIGKILL,
        )
        self.lives: list[Life] = []

    @property
    def url(self) -> str:
        """Where it answers: the gateway everything, the others their health and metrics."""
        return f"http://{HOST}:{self.port}"

    def spawn(self) -> None:
        """Start it and begin a life."""
        began = time.time()
        super().spawn()
        assert self.pid is not None
        self.lives.append(Life(self.name, self.pid, began))

    def life(self, pid: int) -> Life:
        """The latest life of a process id; waits for the thread that started it to write it down."""

        def found() -> Life | None:
            return next((life for life in reversed(self.lives) if life.pid == pid), None)

        life = until(found, seconds=10, every=0.01, why=f"the life of {self.name} is written down")
        assert life is not None
        return life

    def ready(self) -> bool:
        """Whether `/readyz` answers 200; the first time goes into its life."""
        ready = super().ready()
        if ready and self.lives[-1].ready is None:
            self.lives[-1].ready = time.time()
        return ready

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end, which goes into its life."""
        code = super().wait(timeout)
        if code is not None and self.lives and self.lives[-1].ended is None:
            self.lives[-1].ended, self.lives[-1].code = time.time(), code
        return code

    def stop(self) -> None:
        """Let it drain and leave."""
        if self.lives and self.lives[-1].told is None:
            self.lives[-1].told, self.lives[-1].told_at = signal.SIGTERM, time.time()
        super().stop()
        self.wait(0)


class Fleet:
    """Instances of the services on one Kafka, one database and one blob store; whoever dies comes back at once.

    Parameters
    ----------
    folder
        Where the operator's key, the logs and, without ``SCRIBEWIRE_BLOBS``, the blobs lie; it may not be another's.
    kafka
        Bootstrap servers.
    dsn
        Address of a database, which may be empty: `prepare` makes topics and tables.
    env
        More environment for every service: a provider's key and address, settings. Here and in ``own`` an instance
        finds its name in place of ``{member}``.
    own
        Environment of one service alone, over the others: ``{"recorder": {"DATABASE_URL": proxied}}``.
    count
        Instances of each service, for all or by name; 1 where nothing is said.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: str,
        dsn: str,
        env: Mapping[str, str] | None = None,
        own: Mapping[str, Mapping[str, str]] | None = None,
        count: int | Mapping[str, int] = 1,
    ) -> None:
        self.folder = folder
        self.kafka = kafka
        self.dsn = dsn
        self.members: dict[str, Member] = {}
        self._keepers: dict[str, Keeper] = {}
        self._past: list[Life] = []
        self._own = own or {}
        self._count = {service: count if isinstance(count, int) else count.get(service, 1) for service in SERVICES}
        key_file = folder / "operator.key"
        key_file.touch(mode=0o600)
        key_file.write_text(KEY)
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "SCRIBEWIRE_KAFKA": kafka,
            "DATABASE_URL": dsn,
            "SCRIBEWIRE_BLOBS": (folder / "blobs").as_uri(),
            "SCRIBEWIRE_OPERATOR_KEY_FILE": str(key_file),
            "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(encryption_keys(folder)),
            "SCRIBEWIRE_WEBHOOK_ALLOW_PRIVATE": "1",
            "SCRIBEWIRE_REUSE": "false",  # who sends the same bytes again means to have the work done again
            **(env or {}),
        }

    @property
    def urls(self) -> list[str]:
        """Addresses of the gateways."""
        return [member.url for name, member in list(self.members.items()) if service_of(name) == "gateway"]

    def of(self, service: str) -> list[str]:
        """Names of a service's instances."""
        return [name for name in list(self.members) if service_of(name) == service]

    @property
    def lives(self) -> list[Life]:
        """Every process there was, by start."""
        now = [life for member in self.members.values() for life in member.lives]
        return sorted([*self._past, *now], key=lambda life: life.started)

    def prepare(self) -> None:
        """Make topics and tables, once for a Kafka and a database."""
        running = {
            name: subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self._environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for name, command in ONE_SHOTS.items()
        }
        for name, process in running.items():
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, f"{name}: {said.decode(errors='replace')[-3000:]}"

    def start(self, services: Iterable[str] = SERVICES) -> None:
        """Start the instances of these services and return when all are ready."""
        self.wait_ready([self.spawn(service) for service in services for _ in range(self._count[service])])

    def spawn(self, service: str) -> str:
        """Add one instance of a service and return its name, not waiting until it is ready."""
        taken = {number_of(name) for name in self.members if service_of(name) == service}
        name = f"{service}-{next(n for n in range(1, 1000) if n not in taken)}"
        port = free_port()
        setting = "SCRIBEWIRE_PORT" if service == "gateway" else "SCRIBEWIRE_HEALTH_PORT"
        environment = {**self._environment, **self._own.get(service, {}), setting: str(port)}
        environment = {key: value.replace("{member}", name) for key, value in environment.items()}
        member = Member(name, port=port, environment=environment, log=self.folder / "logs" / f"{name}.log")
        keeper = Keeper(member, changed=lambda: None, backoff=_AT_ONCE)
        self.members[name], self._keepers[name] = member, keeper
        keeper.start()
        return name

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> Life:
        """Send a signal to an instance that runs and return the life that got it; it is started again when it ends."""
        member = self.members[name]
        pid: int = until(lambda: member.pid or 0, seconds=30, every=0.02, why=f"{name} runs")
        life = member.life(pid)
        if life.told is None:
            life.told, life.told_at = number, time.time()
        os.kill(pid, number)
        return life

    def back(self, life: Life, *, seconds: float = 60.0) -> Life:
        """Wait until the instance whose life ended is ready again; return the life it has now."""
        member = self.members[life.member]

        def again() -> bool:
            now = member.lives[-1]
            return now is not life and now.ready is not None

        until(again, seconds=seconds, every=0.05, why=f"{life.member} is back\n{log_tail(member.log)}")
        return member.lives[-1]

    def terminate(self, name: str, *, seconds: float = 60.0) -> Life:
        """Send SIGTERM and wait until the life that got it has ended; it is started again."""
        life = self.kill(name, signal.SIGTERM)
        until(lambda: life.code is not None, seconds=seconds, every=0.05, why=f"{name} leaves when told to")
        return life

    def scale(self, count: int, services: Iterable[str] = SERVICES) -> None:
        """Add instances, or let the latest leave, until there are so many of each, all of them ready."""
        services = list(services)
        for service in services:
            for _ in range(count - len(self.of(service))):
                self.spawn(service)
        surplus = [name for service in services for name in sorted(self.of(service), key=number_of)[count:]]
        for name in surplus:
            self._keepers[name].stop()
        for name in surplus:
            self.remove(name)
        self.wait_ready()

    def remove(self, name: str) -> Life:
        """Let an instance drain and leave for good; return its last life."""
        keeper, member = self._keepers.pop(name), self.members.pop(name)
        keeper.stop()
        keeper.join()
        self._past.extend(member.lives)
        return member.lives[-1]

    def wait_ready(self, names: Iterable[str] | None = None, *, seconds: float = 60.0) -> None:
        """Return when these instances, or all, run and say that they are ready."""
        for name in list(self.members) if names is None else list(names):
            member = self.members[name]
            until(
                lambda member=member: member.pid and member.lives and member.lives[-1].ready,  # type: ignore[misc]
                seconds=seconds,
                every=0.05,
                why=f"{name} is ready\n{log_tail(member.log)}",
            )

    def stop(self) -> None:
        """End all: gateways first, then the others together."""
        gateways = [name for name in self._keepers if service_of(name) == "gateway"]
        for names in (gateways, [name for name in self._keepers if name not in gateways]):
            for name in names:
                self._keepers[name].stop()
            for name in names:
                self._keepers[name].join()

    def show_logs(self) -> None:
        """Print the end of every log, for who looks into a failure."""
        for log in sorted((self.folder / "logs").glob("*.log")):
            print(f"--- {log.name}\n{log_tail(log)}")


@contextmanager
def running_fleet(fleet: Fleet) -> Iterator[Fleet]:
    """Topics, tables and services inside the block; gone after it; their logs are shown on a failure."""
    try:
        fleet.prepare()
        fleet.start()
        yield fleet
    except BaseException:
        fleet.show_logs()
        raise
    finally:
        fleet.stop()


def service_of(member: str) -> str:
    """The service of a member: `transcriber` of `transcriber-2`."""
    return member.rpartition("-")[0]


def number_of(member: str) -> int:
    """The number of a member: 2 of `transcriber-2`."""
    return int(member.rpartition("-")[2])


def log_tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:]) if log.exists() else ""
