"""`up` and `down` as people see them: one supervisor a home, progress while it starts, a clean end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from scribewire_local.home import Home
from scribewire_local.marks import end_marked
from scribewire_local.parts import SERVICES
from scribewire_local.process import PartFailed, is_same
from scribewire_local.settings import LocalSettings
from scribewire_local.state import State
from scribewire_local.supervisor import AlreadyRunning, Supervisor, is_supervised

_DOWN_SECONDS = 120.0
_FIRST_WORD_SECONDS = 5.0


def up(settings: LocalSettings, console: Console, *, detach: bool) -> None:
    """Start everything in the home and return when it is ready (detached) or was stopped by a signal (attached).

    Says so, and does nothing, when it runs already.

    Raises
    ------
    PartFailed
        Something did not start; everything else was stopped again.
    """
    home = Home(settings.home)
    if is_supervised(home):
        _follow(home, console, alive=lambda: is_supervised(home))
        state = State.read(home.state_file)
        console.print(f"already running: {state.gateway.url if state else home.folder}")
        return
    if detach:
        _up_detached(settings, home, console)
    else:
        _up_attached(settings, home, console)


def down(settings: LocalSettings, console: Console) -> bool:
    """Stop everything of the home, whoever started it; False when nothing ran. No process is left."""
    home = Home(settings.home)
    began = time.monotonic()
    with console.status("stopping the gateway, the services, PostgreSQL and Kafka"):
        ran = is_supervised(home)
        if ran:
            # One that has only just begun has not said yet who it is.
            _wait(lambda: _supervisor(home) is not None or not is_supervised(home), _FIRST_WORD_SECONDS)
        if state := _supervisor(home):
            os.kill(state.supervisor, signal.SIGTERM)
            _wait(lambda: not is_supervised(home), _DOWN_SECONDS)
            if is_same(state.supervisor, state.supervisor_started) and is_supervised(home):
                os.kill(state.supervisor, signal.SIGKILL)
        leftovers = end_marked(home.folder)
    if ran or leftovers:
        console.print(f"stopped after {time.monotonic() - began:.1f} s; the data stays in {home.folder}")
    else:
        console.print("nothing was running")
    return ran or bool(leftovers)


def _supervisor(home: Home) -> State | None:
    state = State.read(home.state_file)
    return state if state is not None and state.supervised() else None


def _up_detached(settings: LocalSettings, home: Home, console: Console) -> None:
    home.make()
    with home.log("supervisor").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "scribewire_local.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"SCRIBEWIRE_HOME": str(home.folder), "SCRIBEWIRE_PORT": str(settings.port)},
            start_new_session=True,
        )
    try:
        _follow(home, console, alive=lambda: supervisor.poll() is None)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    state = State.read(home.state_file)
    if state is None or state.supervisor != supervisor.pid or state.phase != "ready":
        supervisor.wait()
        _raise_failure(home, supervisor.pid)
    else:
        _welcome(state, console)


def _up_attached(settings: LocalSettings, home: Home, console: Console) -> None:
    supervisor = Supervisor(settings)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, supervisor.stop)
    running = threading.Event()
    running.set()

    def show() -> None:
        _follow(home, console, alive=running.is_set)
        state = State.read(home.state_file)
        if state is not None and state.phase == "ready":
            _welcome(state, console)
            console.print("Ctrl-C stops it.")

    screen = threading.Thread(target=show, daemon=True)
    screen.start()
    try:
        succeeded = supervisor.run()
    except AlreadyRunning:
        console.print("already running")
        return
    finally:
        running.clear()
        screen.join(5.0)
    if not succeeded:
        _raise_failure(home, os.getpid())


def _follow(home: Home, console: Console, *, alive: Callable[[], bool]) -> None:
    """Show the start until it is over, one way or the other."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<14}"),
        BarColumn(24),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    shown: dict[str, float] = {}
    with Progress(*columns, console=console, transient=True) as progress:
        total = progress.add_task("starting", total=len(SERVICES) + 2, said="")
        while alive():
            state = State.read(home.state_file)
            if state is None or not state.supervised():
                time.sleep(0.05)
                continue
            for part in state.parts:
                if part.state == "running" and part.name not in shown and part.seconds is not None:
                    shown[part.name] = part.seconds
                    progress.console.print(f"  [green]✓[/] {part.name:<14} ready after {part.seconds:5.1f} s")
            progress.update(total, completed=len(shown), said=state.doing)
            if state.phase != "starting":
                return
            time.sleep(0.1)


def _welcome(state: State, console: Console) -> None:
    console.print(
        f"Scribewire is at [bold]{state.gateway.url}[/]\nthe key for it is in {state.gateway.key_file}", soft_wrap=True
    )


def _raise_failure(home: Home, supervisor: int) -> None:
    state = State.read(home.state_file)
    if state is not None and state.supervisor == supervisor and state.error:
        raise PartFailed(state.error)
    log = home.log("supervisor")
    msg = f"the supervisor ended without a word\n{_tail(log)}\n(log: {log})"
    raise PartFailed(msg)


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-2000:].strip()
    except OSError:
        return ""


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
