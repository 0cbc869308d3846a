"""The data folder, its key, and the state file that tells what runs."""

import json
import os
import stat
from pathlib import Path

from common.crypt import Crypt
from scribewire_local.home import Home
from scribewire_local.process import start_time
from scribewire_local.state import GatewayAddress, PartStatus, State


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def a_state(*parts: PartStatus, supervisor: int | None = None) -> State:
    pid = supervisor or os.getpid()
    return State(pid, start_time(pid) or 1.0, GatewayAddress("http://127.0.0.1:1", "/k"), list(parts), phase="ready")


def test_the_key_is_random_private_and_kept(tmp_path: Path) -> None:
    first, second = Home(tmp_path / "one"), Home(tmp_path / "two")
    first.make()
    second.make()
    key = first.key_file.read_text()
    assert key.startswith("sw_")
    assert len(key.strip()) == 3 + 43
    assert key != second.key_file.read_text()
    assert mode(first.key_file) == 0o600
    assert mode(first.folder) & 0o066 == 0
    assert {mode(part) for part in (first.kafka, first.blobs, first.logs)} == {0o700}
    sealed = first.encryption_keys.read_text()
    assert Crypt([sealed.strip()]).encrypt("x")
    assert sealed != second.encryption_keys.read_text()
    assert mode(first.encryption_keys) == 0o600
    first.make()
    assert first.key_file.read_text() == key
    assert first.encryption_keys.read_text() == sealed


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o755)
    Home(folder).make()
    assert mode(folder) == 0o755


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    state = a_state(PartStatus("kafka", 9092, "/log", os.getpid(), "running", 1.0, 2.0))
    state.write(file)
    assert State.read(file) == state
    # The client on this machine reads these two names.
    assert json.loads(file.read_text())["gateway"] == {"url": "http://127.0.0.1:1", "key_file": "/k"}
    assert list(tmp_path.iterdir()) == [file]


def test_no_state_is_read_from_half_a_file_or_none(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert State.read(file) is None
    for text in ("", "{", "[]", "{}", '{"parts": [{}]}', '{"parts": 1}'):
        file.write_text(text)
        assert State.read(file) is None, text


def test_a_process_that_got_an_old_number_is_not_taken_for_the_part() -> None:
    mine, started = os.getpid(), start_time(os.getpid())
    assert started is not None
    living = PartStatus("kafka", 1, "", mine, "running", started)
    other = PartStatus("postgres", 2, "", mine, "running", started - 100)
    state = a_state(living, other).checked()
    assert (living.pid, living.state) == (mine, "running")
    assert (other.pid, other.state) == (None, "restarting")
    assert state.phase == "ready"


def test_parts_without_a_supervisor_are_stopped_once_they_died() -> None:
    gone = PartStatus("kafka", 1, "", 2**22 + 1, "running", 1.0)
    state = a_state(gone, supervisor=2**22 + 1).checked()
    assert (gone.pid, gone.state, state.phase) == (None, "stopped", "stopped")
