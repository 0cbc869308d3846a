"""Runs every part of one home until told to stop: start order, one-shot commands, stop order, the state file."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from scribewire_local.home import Home
from scribewire_local.java import kafka_is_here
from scribewire_local.keeper import Keeper, Part
from scribewire_local.marks import end_marked, marks
from scribewire_local.parts import Parts, assemble
from scribewire_local.ports import HOST, is_free, listener
from scribewire_local.process import PartFailed, start_time
from scribewire_local.settings import LocalSettings
from scribewire_local.state import GatewayAddress, State

_START_SECONDS = 240.0
_TRIES_BEFORE_FIRST_READY = 3

Plan = Callable[[LocalSettings, Home, State | None], Parts]


class AlreadyRunning(RuntimeError):  # noqa: N818 - reads as the sentence it is
    """Another supervisor has this home."""


class Supervisor:
    """One home's parts, kept running.

    Parameters
    ----------
    settings
        What to run and where.
    plan
        Decides the parts from the settings, the home and the state of the last run.
    """

    def __init__(self, settings: LocalSettings, *, plan: Plan = assemble) -> None:
        self._settings = settings
        self._plan = plan
        self._home = Home(settings.home)
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._keepers: list[Keeper] = []
        self._state = State(
            supervisor=os.getpid(),
            supervisor_started=start_time(os.getpid()) or 0.0,
            gateway=GatewayAddress(
                url=f"http://{HOST}:{settings.port}",
                key_file=str(settings.operator_key_file or self._home.key_file),
            ),
        )

    def run(self) -> bool:
        """Start everything, keep it running until `stop`, end everything; False when the start failed.

        Raises
        ------
        AlreadyRunning
            Another supervisor has this home.
        """
        self._home.make()
        with self._home.lock_file.open("a") as lock:
            _take(lock)
            before = State.read(self._home.state_file)
            self._tell("clearing up after the last run")
            end_marked(self._home.folder)
            try:
                self._start(before)
                self._state.phase = "ready"
                self._tell("")
                self._stop.wait()
            except (RuntimeError, OSError, ValueError) as error:
                self._state.error = str(error)
            finally:
                self._end()
        return self._state.error is None

    def stop(self, *_: object) -> None:
        """End everything; may be a signal handler."""
        self._stop.set()

    def _start(self, before: State | None) -> None:
        if not is_free(self._settings.port):
            msg = (
                f"port {self._settings.port} is already in use{listener(self._settings.port)};"
                " set SCRIBEWIRE_PORT to another one"
            )
            raise PartFailed(msg)
        parts = self._plan(self._settings, self._home, before)
        downloads = self._settings.kafka is None and not kafka_is_here()
        self._tell("downloading Kafka, about 45 MB, the first time only" if downloads else "Kafka and PostgreSQL")
        self._keep(parts.infrastructure)
        self._tell("topics and tables")
        self._run_one_shots(parts)
        self._tell("services")
        self._keep(parts.services)

    def _keep(self, parts: Sequence[Part]) -> None:
        keepers = [Keeper(part, changed=self._write) for part in parts]
        with self._writing:
            self._keepers.extend(keepers)
        for keeper in keepers:
            keeper.start()
        deadline = time.monotonic() + _START_SECONDS
        while waiting := [keeper for keeper in keepers if not keeper.was_ready.wait(0.05)]:
            hopeless = next((keeper for keeper in waiting if keeper.failures >= _TRIES_BEFORE_FIRST_READY), None)
            if hopeless is not None or time.monotonic() > deadline:
                raise PartFailed(_last_words(hopeless or waiting[0]))
            self._give_up_if_stopped()

    def _run_one_shots(self, parts: Parts) -> None:
        running = {}
        for name, (module, *arguments) in parts.one_shots.items():
            environment = parts.environment | marks(self._home.folder, name)
            with self._home.log(name).open("wb") as log:
                running[name] = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        for name, process in running.items():
            while process.poll() is None:
                self._give_up_if_stopped()
                time.sleep(0.05)
            if process.returncode != 0:
                log_file = self._home.log(name)
                msg = f"{name} failed:\n{log_file.read_text(errors='replace')[-3000:].strip()}\n(log: {log_file})"
                raise PartFailed(msg)

    def _give_up_if_stopped(self) -> None:
        if self._stop.is_set():
            msg = "stopped while starting"
            raise PartFailed(msg)

    def _end(self) -> None:
        """Gateway first, then the other services together, then PostgreSQL, then Kafka."""
        self._state.phase = "stopping"
        self._tell("stopping")
        by_name = {keeper.part.name: keeper for keeper in self._keepers}
        last = [by_name.pop(name) for name in ("postgres", "kafka") if name in by_name]
        first = [by_name.pop("gateway")] if "gateway" in by_name else []
        for group in (first, list(by_name.values()), *([keeper] for keeper in last)):
            for keeper in group:
                keeper.stop()
            for keeper in group:
                keeper.join()
        end_marked(self._home.folder)
        self._state.phase = "stopped" if self._state.error is None else "failed"
        self._tell("")

    def _tell(self, doing: str) -> None:
        self._state.doing = doing
        self._write()

    def _write(self) -> None:
        with self._writing:
            self._state.parts = [keeper.status() for keeper in self._keepers]
            try:
                self._state.write(self._home.state_file)
            except OSError as error:  # a full disk must not take the parts down with it
                print(f"cannot write {self._home.state_file}: {error}", file=sys.stderr)


def is_supervised(home: Home) -> bool:
    """Whether a supervisor has this home now."""
    try:
        with home.lock_file.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _take(lock: IO[str]) -> None:
    # Someone who merely looks holds it for an instant.
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return
    msg = "this home is already running"
    raise AlreadyRunning(msg)


def _last_words(keeper: Keeper) -> str:
    try:
        tail = keeper.part.log.read_bytes()[-3000:].decode(errors="replace").strip()
    except OSError:
        tail = ""
    words = keeper.last_words or f"{keeper.part.name} was not ready in time"
    return words if tail and tail[-200:] in words else f"{words}\n{tail}\n(log: {keeper.part.log})"


def main() -> int:
    """Run in the background, as `up --detach` starts it; the state file is how it speaks."""
    supervisor = Supervisor(LocalSettings())
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, supervisor.stop)
    return 0 if supervisor.run() else 1


if __name__ == "__main__":
    sys.exit(main())
