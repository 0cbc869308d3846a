"""The package in docs/plugins.md is built, installed and run as a reader would do it, without a network."""

import array
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.plugins import RATE, Audio, installed
from common.plugins.process import open_plugins
from support.plugins import on_path

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder into which the package of the page is installed."""
    package, folder = tmp_path / "scribewire-rumble", tmp_path / "installed"
    package.mkdir()
    files = re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["pyproject.toml", "scribewire_rumble.py"]
    for name, content in files:
        (package / name).write_text(content)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", folder, package], check=True, timeout=60)
    on_path(folder, monkeypatch)
    return folder


def tone(hertz: float) -> bytes:
    return array.array("h", [round(9000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(RATE)]).tobytes()


def strength(audio: Audio) -> float:
    samples = array.array("h", audio.pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


async def test_the_package_of_the_page_does_what_the_page_says(target: Path) -> None:
    assert installed()["rumble"].value == "scribewire_rumble:Rumble"
    async with open_plugins(["rumble"], {}, seconds=30) as plugins:
        assert (plugins.hears, plugins.reads) == (True, True)
        for at, (hertz, least, most) in enumerate([(10, 0.0, 0.2), (1000, 0.9, 1.0)]):
            given = Audio(tone(hertz), at=at * RATE)
            (made,) = await plugins.pre_process(given)
            assert (made.at, made.samples) == (given.at, given.samples)
            assert least <= strength(made) / strength(given) <= most
        assert (await plugins.outcome()).settings == {"rumble_passages": 2}
        assert await plugins.post_process("call 555 now", ["call 555", "now"]) == ("call ### now", ["call ###", "now"])
