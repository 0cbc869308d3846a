"""What a command is for is told where nothing runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from scribewire_local.cli import app


@pytest.mark.parametrize(
    ("command", "option"),
    [(["admin", "create-admin"], "--email"), (["admin", "import"], "--sqlite"), (["dead"], "replay")],
)
def test_commands_that_are_passed_on_have_help(
    command: list[str],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SCRIBEWIRE_HOME", str(tmp_path))
    asked = CliRunner().invoke(app, [*command, "--help"])
    assert asked.exit_code == 0, asked.output
    assert option in capfd.readouterr().out
