"""The supervisor keeps parts running, clears up after a crash of its own, and leaves no process."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scribewire_local.home import Home
from scribewire_local.keeper import Backoff, Keeper
from scribewire_local.marks import end_marked, marked
from scribewire_local.parts import Parts
from scribewire_local.ports import free_port
from scribewire_local.process import start_time
from scribewire_local.settings import LocalSettings
from scribewire_local.state import GatewayAddress, State
from scribewire_local.supervisor import AlreadyRunning, Supervisor, is_supervised
from support.dummy_parts import DummyPart
from support.waiting import until


@contextmanager
def supervised(settings: LocalSettings, *parts: DummyPart) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings, plan=lambda *_: Parts([], list(parts), {}, dict(os.environ)))
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join(30)
        assert not thread.is_alive()


def phase(home: Path) -> str:
    state = State.read(Home(home).state_file)
    return state.phase if state is not None and state.supervisor == os.getpid() else ""


def part_state(home: Path) -> str:
    return str(json.loads(Home(home).state_file.read_text())["parts"][0]["state"])


def test_a_killed_part_comes_back_and_nothing_is_left_after_stop(tmp_path: Path) -> None:
    part = DummyPart(tmp_path)
    with supervised(LocalSettings(home=tmp_path, port=free_port()), part):
        until(lambda: phase(tmp_path) == "ready", seconds=15, every=0.02)
        first = part.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: part.pid not in (None, first), seconds=15, every=0.02)
        until(
            lambda: json.loads(Home(tmp_path).state_file.read_text())["parts"][0]["state"] == "running",
            seconds=15,
            every=0.02,
        )
        state = State.read(Home(tmp_path).state_file)
        assert state is not None
        assert state.parts[0].pid == part.pid
    assert marked(tmp_path) == {}
    assert phase(tmp_path) == "stopped"
    assert not is_supervised(Home(tmp_path))


def test_two_supervisors_cannot_have_one_home(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path, port=free_port())
    with supervised(settings, DummyPart(tmp_path)):
        until(lambda: phase(tmp_path) == "ready", seconds=15, every=0.02)
        with pytest.raises(AlreadyRunning):
            Supervisor(settings).run()
        assert phase(tmp_path) == "ready"


def test_parts_of_a_killed_supervisor_are_ended_by_the_next(tmp_path: Path) -> None:
    orphan = DummyPart(tmp_path, "orphan")
    orphan.spawn()
    assert orphan.pid is not None
    dead = State(supervisor=2**22 + 1, supervisor_started=1.0, gateway=GatewayAddress("", ""), phase="ready")
    dead.write(Home(tmp_path).state_file)
    with supervised(LocalSettings(home=tmp_path, port=free_port()), DummyPart(tmp_path)):
        until(lambda: phase(tmp_path) == "ready", seconds=15, every=0.02)
        assert orphan.pid is None
        assert list(marked(tmp_path)) == ["dummy"]


def test_a_part_that_never_starts_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    bad = DummyPart(tmp_path, "bad", "import sys; sys.exit('no such luck')")
    bad.ready = lambda: False  # type: ignore[method-assign]
    supervisor = Supervisor(
        LocalSettings(home=tmp_path, port=free_port()),
        plan=lambda *_: Parts([], [bad, DummyPart(tmp_path)], {}, dict(os.environ)),
    )
    assert supervisor.run() is False
    state = State.read(Home(tmp_path).state_file)
    assert state is not None
    assert state.phase == "failed"
    assert state.error is not None
    assert "no such luck" in state.error
    assert marked(tmp_path) == {}


def test_a_failing_one_shot_command_fails_the_start(tmp_path: Path) -> None:
    supervisor = Supervisor(
        LocalSettings(home=tmp_path, port=free_port()),
        plan=lambda *_: Parts([], [], {"topics": ("no_such_module_here",)}, dict(os.environ)),
    )
    assert supervisor.run() is False
    state = State.read(Home(tmp_path).state_file)
    assert state is not None
    assert "no_such_module_here" in (state.error or "")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], stderr=subprocess.DEVNULL
    )
    try:
        from scribewire_local.ports import is_free

        until(lambda: not is_free(port), seconds=15, every=0.02)
        assert Supervisor(LocalSettings(home=tmp_path, port=port)).run() is False
    finally:
        server.kill()
        server.wait()
    state = State.read(Home(tmp_path).state_file)
    assert state is not None
    assert f"port {port} is already in use" in (state.error or "")


def test_starts_back_off(tmp_path: Path) -> None:
    part = DummyPart(tmp_path, "flapping", "")
    keeper = Keeper(part, changed=lambda: None, backoff=Backoff(first=0.2, longest=60.0))
    keeper.start()
    until(lambda: keeper.failures == 3, seconds=15, every=0.02)
    assert part.spawned == 3
    keeper.stop()
    keeper.join(5)
    assert keeper.status().state == "stopped"


def test_ending_what_is_left_takes_grandchildren_too(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    part = DummyPart(tmp_path, "parent", f"{code} start_new_session=True); time.sleep(600)")
    part.spawn()
    until(lambda: len(marked(tmp_path).get("parent", [])) == 2, seconds=15, every=0.02)
    assert start_time(part.pid or 0) is not None
    assert end_marked(tmp_path, grace=5.0) == ["parent"]
    assert marked(tmp_path) == {}
