"""Plug-ins in their own process: order, settings, and what becomes of those that crash, hang or lie."""

from pathlib import Path

import psutil
import pytest

from common.errors import Permanent, Transient
from common.plugins import Audio, installed
from common.plugins.installed import unknown
from common.plugins.process import Plugins, open_plugins
from support.plugins import install, on_path
from support.waiting import eventually

PASSAGE = Audio(bytes(range(200)) * 160, at=48_000)
PASS = "    def pre_process(self, audio, settings):\n        {}\n"
TEXT = "    def post_process(self, text, settings):\n        {}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose plug-ins are installed."""
    on_path(tmp_path, monkeypatch)
    return tmp_path


async def heard(*names: str, seconds: float = 30.0) -> tuple[list[Audio], dict[str, object]]:
    """What plug-ins make of a passage, and the settings they leave."""
    async with open_plugins(names, {"order": [], "language": "en"}, seconds=seconds) as plugins:
        return await plugins.pre_process(PASSAGE), dict((await plugins.outcome()).settings)


async def test_they_run_in_the_order_asked_for_and_each_finds_what_the_one_before_left(folder: Path) -> None:
    for name in ("one", "two"):
        install(folder, name, PASS.format(f"settings['order'] += ['{name}']; return audio"))
    install(folder, "third", PASS.format("settings['language'] = '-'.join(settings['order']); return audio"))
    assert (await heard("two", "one", "third"))[1] == {"order": ["two", "one"], "language": "two-one"}
    assert (await heard("third", "one"))[1] == {"order": ["one"], "language": ""}


async def test_each_part_goes_on_to_the_next_and_knows_its_place(folder: Path) -> None:
    install(folder, "halves", PASS.format("return [audio.part(0, 100), audio.part(audio.samples - 50, audio.samples)]"))
    install(folder, "louder", PASS.format("return audio.with_floats(audio.floats() * 0 + 0.5)"))
    parts, _ = await heard("halves", "louder")
    assert [(part.at, part.samples) for part in parts] == [(48_000, 100), (48_000 + PASSAGE.samples - 50, 50)]
    assert {part.pcm[:2] for part in parts} == {(16_384).to_bytes(2, "little")}


async def test_who_changed_a_setting_last_is_known(folder: Path) -> None:
    install(folder, "one", PASS.format("settings['language'] = 'de'; return audio"))
    install(folder, "two", PASS.format("settings['seen'] = settings['language']; return audio"))
    async with open_plugins(["one", "two"], {"language": "en"}, seconds=30) as plugins:
        await plugins.pre_process(PASSAGE)
        assert (await plugins.outcome()).changed_by == {"language": "one", "seen": "two"}


async def test_one_that_has_to_do_with_text_only_is_not_given_audio(folder: Path) -> None:
    install(folder, "reader", TEXT.format("return text.upper()"))
    async with open_plugins(["reader"], {}, seconds=30) as plugins:
        assert (plugins.hears, plugins.reads) == (False, True)
        assert await plugins.post_process("to be", ["to", "be"]) == ("TO BE", ["TO", "BE"])


async def test_pieces_are_asked_about_only_where_the_text_was_changed(folder: Path) -> None:
    install(folder, "counter", TEXT.format("settings['calls'] = settings.get('calls', 0) + 1; return text"))
    async with open_plugins(["counter"], {}, seconds=30) as plugins:
        assert await plugins.post_process("to be", ["to", "be"]) == ("to be", ["to", "be"])
        assert (await plugins.outcome()).settings == {"calls": 1}


BROKEN = {
    "raises": ("raise KeyError('secret words')", "failed with KeyError"),
    "exits": ("os._exit(3)", "ended its process"),
    "leaves": ("raise SystemExit", "ended its process"),
    "aborts": ("os.abort()", "ended its process"),
    "returns_nothing": ("pass", "gave back something that is no audio"),
    "returns_bytes": ("return audio.pcm", "gave back something that is no audio"),
    "longer": ("return audio.with_pcm(audio.pcm * 2)", "gave back audio that is longer than"),
    "elsewhere": ("return Audio(audio.pcm, audio.at + 1)", "lies outside of"),
    "backwards": ("return [audio.part(50, 60), audio.part(0, 10)]", "lies outside of"),
    "half_a_sample": ("return audio.with_pcm(audio.pcm[:-1])", "gave back audio of another form"),
    "other_rate": ("return Audio(audio.pcm, audio.at, 8000)", "gave back audio of another form"),
    "no_number": ("return audio.with_floats(audio.floats() * float('nan'))", "failed with ValueError"),
    "no_json": ("settings['x'] = {1, 2}; return audio", "left settings that are no JSON"),
    "large": ("settings['x'] = 'x' * 100_000; return audio", "left settings that are too large"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_one_that_breaks_or_lies_is_named(name: str, folder: Path) -> None:
    code, why = BROKEN[name]
    install(folder, name, PASS.format(code))
    install(folder, "good", PASS.format("return audio"))
    with pytest.raises(Permanent) as failed:
        await heard("good", name)
    assert failed.value.code == "plugin_failed"
    assert f"The plug-in {name} " in failed.value.message
    assert why in failed.value.message
    assert "secret" not in failed.value.message


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("return 5", "gave back something that is no text"),
        ("return text * 5000", "much longer"),
        ("return text + chr(0xD800)", "cannot be written"),
    ],
)
async def test_one_that_gives_back_no_text_is_named(code: str, why: str, folder: Path) -> None:
    install(folder, "liar", TEXT.format(code))
    async with open_plugins(["liar"], {}, seconds=30) as plugins:
        with pytest.raises(Permanent, match=why):
            await plugins.post_process("to be or not", [])


async def test_one_that_hangs_is_killed_and_named(folder: Path) -> None:
    install(folder, "hangs", PASS.format("signal.pause()"))
    async with open_plugins(["hangs"], {}, seconds=30) as plugins:
        plugins._seconds = 0.2
        with pytest.raises(Permanent, match=r"The plug-in hangs took longer than 0\.2 seconds") as failed:
            await plugins.pre_process(PASSAGE)
        process = psutil.Process(_pid(plugins))
    assert failed.value.code == "plugin_failed"
    assert not process.is_running()


async def test_one_that_cannot_be_started_is_named(folder: Path) -> None:
    install(folder, "imports", "    import no_such_module\n")
    install(folder, "renamed", PASS.format("return audio"), said="other")
    with pytest.raises(Permanent, match="The plug-in imports cannot be started"):
        await heard("imports")
    with pytest.raises(Permanent, match="The plug-in renamed has another name than its entry point"):
        await heard("renamed")


async def test_one_that_is_not_installed_here_is_waited_for(folder: Path) -> None:
    with pytest.raises(Transient) as missing:
        await heard("not_here")
    assert missing.value.code == "plugin_not_installed"


async def test_one_that_is_killed_from_outside_may_be_tried_again(folder: Path) -> None:
    install(folder, "waits", PASS.format("os.kill(os.getpid(), signal.SIGKILL)"))
    with pytest.raises(Transient) as stopped:
        await heard("waits")
    assert "waits" in stopped.value.message


async def test_one_that_prints_and_reads_disturbs_nobody(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install(
        folder, "prints", PASS.format("os.write(1, b'dfb' * 9); settings['in'] = os.read(0, 9).decode(); return audio")
    )
    parts, settings = await heard("prints")
    assert parts == [PASSAGE]
    assert settings["in"] == ""


async def test_it_has_none_of_our_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("DATABASE_URL", "secret")
    monkeypatch.setenv("SCRIBEWIRE_PLUGIN_MODEL", "for plug-ins")
    install(folder, "looks", PASS.format("settings['env'] = dict(os.environ); return audio"))
    environment = (await heard("looks"))[1]["env"]
    assert isinstance(environment, dict)
    assert environment["SCRIBEWIRE_PLUGIN_MODEL"] == "for plug-ins"
    assert "secret" not in environment.values()


async def test_its_process_goes_with_the_job(folder: Path) -> None:
    install(folder, "stays", PASS.format("settings['child'] = os.fork() or signal.pause(); return audio"))
    async with open_plugins(["stays"], {}, seconds=30) as plugins:
        await plugins.pre_process(PASSAGE)
        child = psutil.Process((await plugins.outcome()).settings["child"])
        process = psutil.Process(_pid(plugins))
        assert child.ppid() == process.pid
    assert not process.is_running()
    await eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)


def test_names_are_known_without_running_any_code(folder: Path) -> None:
    install(folder, "explodes", "    os._exit(1)\n")
    assert "explodes" in installed()
    assert {"noise_reduction", "loudness", "silence_trimming", "language_detection"} <= set(installed())


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    assert unknown(["loudness"], ["loudness"]) is None
    assert unknown(["no", "loudness", "nor"], ["a", "loudness"]) == "There is no plug-in no, nor; there is a, loudness."
    assert unknown(["no"], []) == "There is no plug-in no; there is none."


def _pid(plugins: Plugins) -> int:
    return plugins._process.pid
