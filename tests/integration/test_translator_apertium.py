"""The installed Apertium, for real."""

import asyncio
import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from common.errors import Permanent, Transient
from translator.providers.apertium import Apertium

needs_apertium = pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")


async def installed() -> Apertium:
    apertium = await Apertium.installed(Path("apertium"))
    assert apertium is not None
    return apertium


def script(folder: Path, body: str) -> Path:
    """A stand-in for the program, to see how it is treated when it misbehaves."""
    path = folder / "apertium"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@needs_apertium
async def test_english_becomes_spanish() -> None:
    done = await (await installed()).translate(["Good morning.", "I see the house."], source="en-US", target="es")
    assert done.texts == ("Buenos días.", "Veo la casa.")


@needs_apertium
async def test_every_text_has_its_own_translation() -> None:
    texts = [
        "hello there",
        ".",
        "...",
        "Good [morning] {x} ^a$ @ / \\ < > * #",
        "é ü ñ 今日 🙂",
        "a" * 3000,
        "One. Two. Three? Four!",
        "[",
        "\\",
        "",
        "last",
    ]
    given = [text for text in texts if text] * 30
    done = await (await installed()).translate(given, source="en", target="es")
    assert len(done.texts) == len(given)
    assert [text.lower() for text in done.texts[:10]] == [text.lower() for text in done.texts[-10:]]
    assert done.texts[-1].lower() == "último"


@needs_apertium
async def test_a_region_is_used_where_there_is_one() -> None:
    apertium = await installed()
    assert apertium._mode("es", "en-US") in {"spa-eng_US", "spa-eng"}
    assert apertium._mode("es", "en-GB") == "spa-eng"


@needs_apertium
async def test_a_missing_pair_names_what_is_installed() -> None:
    with pytest.raises(Permanent) as caught:
        await (await installed()).translate(["hello"], source="en", target="ja")
    assert caught.value.code == "unsupported_translation"
    assert "en into ja" in caught.value.message
    assert "eng-spa" in caught.value.message


async def test_a_missing_program_is_none() -> None:
    assert await Apertium.installed(Path("no-such-apertium")) is None


async def test_a_hung_program_is_killed_with_its_children(tmp_path: Path) -> None:
    program = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; cat > /dev/null; wait")
    apertium = Apertium(program=program, modes=frozenset({"eng-spa"}), seconds=1.0)
    began = time.monotonic()
    with pytest.raises(Transient) as caught:
        await apertium.translate(["hello"], source="en", target="es")
    assert time.monotonic() - began < 5
    assert caught.value.code == "translation_timeout"
    await gone(int((tmp_path / "child").read_text()))


async def test_a_cancelled_call_leaves_no_program(tmp_path: Path) -> None:
    program = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    apertium = Apertium(program=program, modes=frozenset({"eng-spa"}))
    call = asyncio.create_task(apertium.translate(["hello"], source="en", target="es"))
    async with asyncio.timeout(5):
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
            await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await gone(int((tmp_path / "child").read_text()))


async def test_a_program_that_went_away_is_waited_for(tmp_path: Path) -> None:
    apertium = Apertium(program=tmp_path / "apertium", modes=frozenset({"eng-spa"}))
    with pytest.raises(Transient) as caught:
        await apertium.translate(["hello"], source="en", target="es")
    assert caught.value.code == "translator_unavailable"
    assert str(tmp_path) not in caught.value.message


async def test_a_failing_program_is_tried_again_later(tmp_path: Path) -> None:
    apertium = Apertium(program=script(tmp_path, "cat >/dev/null; exit 3"), modes=frozenset({"eng-spa"}))
    with pytest.raises(Transient, match="ended with 3"):
        await apertium.translate(["hello"], source="en", target="es")


async def test_a_program_that_merges_texts_is_asked_in_smaller_parts(tmp_path: Path) -> None:
    apertium = Apertium(program=script(tmp_path, "tr '\\n' ' '"), modes=frozenset({"eng-spa"}))
    done = await apertium.translate(["one", "two", "three"], source="en", target="es")
    assert done.texts == ("one", "two", "three")


async def test_our_environment_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    apertium = Apertium(program=script(tmp_path, "cat >/dev/null; env"), modes=frozenset({"eng-spa"}))
    done = await apertium.translate(["hello"], source="en", target="es")
    assert "sk-secret" not in done.texts[0]


async def gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                os.kill(pid, 0)
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (ProcessLookupError, FileNotFoundError):
                return
            if state == "Z":
                return
            await asyncio.sleep(0.02)
