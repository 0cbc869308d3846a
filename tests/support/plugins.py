"""Plug-ins of others, installed for a test: a module each, and beside it the metadata that names its entry point."""

import os
from pathlib import Path

import pytest

GROUP = "scribewire.plugins"


def install(folder: Path, name: str, body: str, *, said: str | None = None) -> None:
    """Lay a plug-in into a folder as an installer would.

    Parameters
    ----------
    folder
        Where; `on_path` has processes look there.
    name
        Of its entry point.
    body
        Lines of the class, with four spaces before each.
    said
        What it calls itself, if that is another name.
    """
    (folder / f"{name}_plugin.py").write_text(
        "import os, signal, time\n"
        "from common.plugins import Audio\n\n\n"
        f"class Made:\n    def get_name(self):\n        return {said or name!r}\n\n{body}\n"
    )
    register(folder, name, f"{name}_plugin:Made")


def register(folder: Path, name: str, target: str) -> None:
    """Write the metadata of an installed package that has one plug-in."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process and those it starts find what lies in a folder."""
    folder.mkdir(exist_ok=True)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
