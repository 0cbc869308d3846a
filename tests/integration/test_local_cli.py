"""The commands of one machine, run as a user runs them, where nothing runs or nothing can."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scribewire_local.marks import marked

SCRIBEWIRE = Path(sys.executable).with_name("scribewire")


def scribewire(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
    environment |= {"SCRIBEWIRE_HOME": str(home), "NO_COLOR": "1", **variables}
    return subprocess.run(
        [SCRIBEWIRE, *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_status_before_anything_ran(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert json.loads(scribewire(home, "status", "--json", PORT="8765").stdout) == {
        "gateway": {"url": "http://127.0.0.1:8765", "key_file": str(home / "operator.key")},
        "parts": [],
    }
    assert "nothing is running" in scribewire(home, "status").stdout
    assert not home.exists()


def test_down_before_anything_ran_is_no_failure(tmp_path: Path) -> None:
    done = scribewire(tmp_path / "home", "down")
    assert (done.returncode, done.stdout.strip()) == (0, "nothing was running")


@pytest.mark.parametrize("detach", [["--detach"], []])
def test_up_names_the_port_that_is_taken(tmp_path: Path, detach: list[str]) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = scribewire(home, "up", *detach, SCRIBEWIRE_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} is already in use" in done.stderr
    assert "SCRIBEWIRE_PORT" in done.stderr
    assert marked(home) == {}


@pytest.mark.parametrize(
    ("variable", "value"), [("SCRIBEWIRE_PORT", "eighty"), ("PORT", "70000"), ("SCRIBEWIRE_REPLICAS", "gateway=2")]
)
def test_a_bad_setting_is_named(tmp_path: Path, variable: str, value: str) -> None:
    done = scribewire(tmp_path / "home", "up", "--detach", **{variable: value})
    assert done.returncode == 2
    assert variable in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_that_need_a_platform_say_so(tmp_path: Path) -> None:
    for words in (["rebuild"], ["topics", "apply"]):
        done = scribewire(tmp_path / "home", *words)
        assert done.returncode == 1
        assert "scribewire up" in done.stderr


def test_doctor_looks_at_everything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = scribewire(tmp_path / "home", "doctor", SCRIBEWIRE_PORT=str(port), OPENAI_API_KEY="sk-very-secret")
    assert done.returncode == 1
    assert f"✗ port {port}" in done.stdout
    for subject in ("Python", "Java", "Kafka", "(PostgreSQL) 18", "FFmpeg", "disk", "memory"):
        assert subject in done.stdout
    assert "OPENAI_API_KEY set" in done.stdout
    assert "sk-very-secret" not in done.stdout
