"""Media that attacks: what names other files is never followed, what costs too much is stopped, and work goes on."""

import asyncio
import os
import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import psutil
import pytest

from support import media
from support.hostile.bombs import crowded, long_ones, lying_movies, lying_waves, odd_streams
from support.hostile.canary import TOKEN, Canary, Opened, canary, canary_wav, heard, watched
from support.hostile.chamber import PATIENCE, Chamber, Meter, Verdict, chamber
from support.hostile.mutations import mutants
from support.hostile.references import ENDINGS, containers, follows, playlists
from support.promises import FULL, SEED, Tally, scenario

Attack = tuple[str, bytes, str]

LANES = 2
MEMORY_MIB = 1024
LIMITS = {
    "max_audio_seconds": 3600 if FULL else 240,
    "decoder_cpu_seconds": 60 if FULL else 20,
    "decoder_wall_seconds": 60 if FULL else 40,
    "decoder_stall_seconds": 20 if FULL else 6,
    "decoder_memory_mib": MEMORY_MIB,
    "concurrency": LANES,
}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may read: pytest's own are closed to others, which would hide what leaks."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def all_that_is_written(path: Path) -> Iterator[None]:
    """Everything that this process and what it starts write to their output and errors, into a file."""
    kept = [os.dup(1), os.dup(2)]
    with path.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            yield
        finally:
            for stream, old in zip((1, 2), kept, strict=True):
                os.dup2(old, stream)
                os.close(old)


async def endure(there: Chamber, attacks: Iterable[Attack]) -> list[Verdict]:
    """Run attacks side by side, a good file right behind each; at small size behind each fifth mutant."""
    waiting = enumerate(attacks)
    verdicts: list[Verdict] = []

    async def lane() -> None:
        for number, (name, data, ending) in waiting:
            verdict = await there.attack(name, data, ending=ending)
            if FULL or "mutated" not in name or number % 5 == 0:
                verdict.wrong += await there.survives()
            verdicts.append(verdict)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    return verdicts


async def tenants_file(there: Chamber, folder: Path) -> Path:
    """Another tenant's upload, which every user may read."""
    event = await there.upload(canary_wav(), owner="victim")
    path = folder / event.source.name
    path.chmod(0o644)
    for parent in path.parents[:4]:
        parent.chmod(0o755)
    return path


async def follow(named: Iterable[tuple[str, bytes]], at: Canary, opened: Opened, folder: Path) -> int:
    """How many attacks touch the canaries through a player that follows all: the proof that they are attacks."""
    reached = 0
    for name, data in named:
        path = folder / ("control.m3u8" if name.startswith("hls") else "control")
        path.write_bytes(data)
        process = await asyncio.create_subprocess_exec(
            *follows(name, path), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
        reached += bool(at.touched or opened())
        at.touched.clear()
    return reached


def tell(tally: Tally, verdicts: Sequence[Verdict]) -> list[str]:
    """Put what happened into the tally; return what must not have happened."""
    wrong = [f"{verdict.name}: {what}" for verdict in verdicts for what in verdict.wrong]
    tally.faults = len(verdicts)
    tally.redelivered = sum(verdict.transient for verdict in verdicts)
    tally.lost = sum(bool(verdict.wrong) for verdict in verdicts)
    tally.figures["refused"] = sum(verdict.code is not None for verdict in verdicts)
    tally.figures["slowest"] = round(max(verdict.seconds for verdict in verdicts), 1)
    return wrong


def spread(named: Sequence[tuple[str, bytes]]) -> Iterator[Attack]:
    """At full size each under every name; else each fifth, under names in turn, so that every kind is there."""
    if FULL:
        yield from ((name, data, ending) for name, data in named for ending in ENDINGS)
        return
    offset = random.Random(SEED).randrange(5)
    for number, (name, data) in enumerate(islice(named, offset, None, 5)):
        yield name, data, ENDINGS[number % len(ENDINGS)]


async def test_no_file_makes_the_transcoder_open_another_or_an_address(open_folder: Path) -> None:
    outside = open_folder / "secret.wav"
    outside.write_bytes(canary_wav())
    outside.chmod(0o644)
    written = open_folder / "written"
    with scenario("S4", "playlists, manifests and movies that name canary files and servers") as tally:
        with all_that_is_written(written):
            async with chamber(open_folder / "blobs", LIMITS) as there:
                files = [outside, await tenants_file(there, open_folder / "blobs")]
                async with canary(files) as at:
                    texts, movies = list(playlists(at)), list(containers(at))
                    with watched(files) as opened:
                        known = [one for one in [*texts, *movies] if FULL or one[0] in REAL]
                        reached = await follow(known, at, opened, open_folder)
                        told = await there.attack("the canary itself", canary_wav())
                        refusals = await endure(there, spread(texts))
                        verdicts = [*refusals, *await endure(there, spread(movies))]
                        at.touched.extend(opened())
        tally.figures["reached by a trusting player"] = reached
        wrong = tell(tally, verdicts)
        wrong += [f"{verdict.name}: was taken for media" for verdict in refusals if verdict.code is None]
        leaks = [verdict.name for verdict in verdicts if heard(verdict.pcm) or leaking(verdict.told.encode())]
        tally.figures["hits"], tally.figures["leaks"] = len(at.touched), len(leaks)
        tally.lost += len(leaks) + len(at.touched)
        assert heard(told.pcm), "the canary cannot be heard, so its silence proves nothing"
        assert reached >= len(REAL) - 2, "the attacks reach nothing, so withstanding them proves nothing"
        assert at.touched == []
        assert leaks == []
        assert not leaking(written.read_bytes())
        assert wrong == []


async def test_no_file_takes_more_than_its_limits_or_stops_the_work(open_folder: Path) -> None:
    made = open_folder / "made"
    made.mkdir()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with scenario("S5", "bombs, lying headers and mutated files") as tally:
        attacks = list(bombs(made))
        with Meter() as meter:
            async with chamber(open_folder / "blobs", LIMITS) as there:
                verdicts = await endure(there, attacks)
        tally.figures["most MiB of the decoders"] = meter.children_mib
        tally.figures["most MiB more in the service"] = meter.own_mib
        wrong = tell(tally, verdicts)
        codes = {verdict.name: verdict.code for verdict in verdicts}
        assert wrong == []
        assert meter.children_mib <= LANES * MEMORY_MIB
        assert meter.own_mib <= 200
        assert tally.figures["slowest"] < PATIENCE
        assert {child.pid for child in psutil.Process().children(recursive=True)} <= before, "a decoder was left behind"
        assert all(code == "too_long" for name, code in codes.items() if "h of silence" in name and hours_of(name) > 1)
        assert all(codes[name] == "decoder_limits" for name in codes if name.endswith("000 tracks"))


REAL = {"dash base 0", "dash list 0", "concat 0", "concat 1", "concat 2", "concat options 4", "concat wrapped 0",
        "hls 0", "hls key 0", "movie alias 1"}  # fmt: skip
"""Some attacks that a trusting player falls for."""


def leaking(text: bytes) -> bool:
    """Whether text holds what stands in a canary file, or in a file of the machine that attacks name."""
    return TOKEN in text or b"root:x:" in text or b"SCRIBEWIRE_BLOBS=" in text


def hours_of(name: str) -> int:
    """Hours in a bomb's name."""
    return int(name.partition(" ")[0])


def bombs(folder: Path) -> Iterator[Attack]:
    """Every attack of the scenario; mutants are remade by their name's seed and number."""
    scale = 10 if FULL else 1
    made = [*lying_waves(), *lying_movies(), *crowded(folder, scale=scale), *odd_streams(folder, scale=scale)]
    made += islice(long_ones(folder, hours=4 if FULL else 1), None if FULL else 4)
    originals = {kind: media.speech_file(kind, folder, seconds=0.5).read_bytes() for kind in media.KINDS}
    made += mutants(originals, count=3000 if FULL else 120, seed=SEED)
    return ((name, data, "") for name, data in made)
