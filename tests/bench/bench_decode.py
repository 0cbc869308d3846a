"""Benches C1 to C4: what it costs to turn media into samples, beside an ffmpeg process a file and beside plain PyAV.

The corpus is the sample monologue as stereo at 44.1 kHz in six forms. Both sides read the same files and hand the
samples to this process; CPU is that of the decoding processes and of this one together. Run by ``make bench``.
"""

import argparse
import asyncio
import hashlib
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

import av
import psutil
from av.audio.resampler import AudioResampler

from support.bench import Result, record, result
from support.media import SAMPLES, ffmpeg_program, long_silence, make
from transcoder.cut import Cutter
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.ports import RATE, SAMPLE_BYTES
from transcoder.settings import TranscoderSettings
from transcoder.worker.extract import Extraction

KINDS = {
    "a.wav": (),
    "a.flac": (),
    "a.mp3": ("-c:a", "libmp3lame", "-b:a", "128k"),
    "a.m4a": ("-c:a", "aac"),
    "a.opus": ("-ar", "48000", "-c:a", "libopus", "-b:a", "32k"),
    "a.mp4": ("-c:a", "aac", "-c:v", "libx264", "-preset", "ultrafast"),
}
PROGRAM = "ffmpeg process a file (9.0)"
ARGUMENTS = (
    "-map", "0:a:0", "-vn", "-sn", "-dn", "-threads", "1", "-filter_threads", "1",
    "-af", f"aresample={RATE}:async=1:first_pts=0", "-ac", "1", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1",
)  # fmt: skip
LANES = 2

Decode = Callable[[Path], Awaitable[int]]


def corpus(folder: Path, seconds: float) -> list[Path]:
    """One file of each kind."""
    folder.mkdir()
    spoken = ("-stream_loop", "-1", "-t", str(seconds), "-i", SAMPLES / "monologue.wav", "-ar", "44100", "-ac", "2")
    picture = ("-f", "lavfi", "-i", f"testsrc=size=320x180:rate=25:duration={seconds}")
    for name, codec in KINDS.items():
        make(*(picture if name.endswith("mp4") else ()), *spoken, "-t", str(seconds), *codec, folder / name)
    return [folder / name for name in KINDS]


async def by_program(path: Path) -> int:
    """Have an ffmpeg process decode a file; bytes of its samples."""
    process = await asyncio.create_subprocess_exec(
        ffmpeg_program(), "-nostdin", "-v", "error", "-i", path, *ARGUMENTS,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    total = 0
    while chunk := await process.stdout.read(64 * 1024):
        total += len(chunk)
    assert await process.wait() == 0
    return total


def by_worker(decoder: FfmpegDecoder) -> Decode:
    """Have a worker decode a file."""

    async def decode(path: Path) -> int:
        async with decoder.open(path) as decoding:
            return sum([len(chunk) async for chunk in decoding.pcm()])

    return decode


def cpu() -> float:
    """CPU seconds of this process, of the children it waited for, and of the worker processes and theirs."""
    total = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for child in psutil.Process().children():
        times = child.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


async def measured(decode: Decode, files: Sequence[Path], lanes: int) -> tuple[float, float, int]:
    """Decode files, so many at once; CPU seconds, wall seconds and bytes of samples."""
    left = list(files)

    async def lane() -> int:
        total = 0
        while left:
            total += await decode(left.pop())
        return total

    used, began = cpu(), time.monotonic()
    total = sum(await asyncio.gather(*[lane() for _ in range(lanes)]))
    return cpu() - used, time.monotonic() - began, total


async def against_program(decoder: FfmpegDecoder, folder: Path, rounds: int, seconds: float) -> list[Result]:
    """C1 and C2."""
    long, clips = corpus(folder / "long", seconds), corpus(folder / "clips", 10.0) * 5
    worker = by_worker(decoder)
    await measured(worker, clips, LANES)
    spared, faster, cheaper, figures = [], [], [], ""
    for _ in range(rounds):
        theirs, _, expected = await measured(by_program, long, 1)
        ours, _, given = await measured(worker, long, 1)
        assert abs(given - expected) <= 6 * 2 * 4096, "the two sides decode different audio"
        spared.append(theirs / ours)
        audio = given / (RATE * SAMPLE_BYTES)
        figures = f"{audio / ours:.0f} and {audio / theirs:.0f} audio s per CPU s"
    clip_figures = ""
    for _ in range(rounds):
        their_cpu, their_wall, _ = await measured(by_program, clips, LANES)
        our_cpu, our_wall, _ = await measured(worker, clips, LANES)
        faster.append(their_wall / our_wall)
        cheaper.append(our_cpu / their_cpu)
        clip_figures = f"{len(clips) / our_wall:.0f} and {len(clips) / their_wall:.0f} clips/s, {LANES} at once"
    return [
        result("C1 audio s per CPU s, mixed corpus", PROGRAM, spared, aim=1.6, figures=figures),
        result("C1 audio s per CPU s, mixed corpus: no dearer", PROGRAM, spared, aim=1.0, figures=figures),
        result("C2 10 s clips/s, warm", PROGRAM, faster, aim=2.0, cpu=cheaper, figures=clip_figures),
    ]


def resident() -> int:
    """Resident bytes of this process and of all below it."""
    ours = psutil.Process()
    return sum(process.memory_info().rss for process in [ours, *ours.children(recursive=True)])


async def added(decoder: FfmpegDecoder, path: Path) -> float:
    """Most MiB that a file adds to the service, its workers and what it cuts together."""
    before = peak = resident()
    cutter = Cutter(30.0)
    looked = time.monotonic()
    async with decoder.open(path) as decoding:
        async for chunk in decoding.pcm():
            for _ in cutter.feed(chunk):
                pass
            if time.monotonic() - looked > 0.05:
                peak, looked = max(peak, resident()), time.monotonic()
    return (peak - before) / 2**20


async def memory(decoder: FfmpegDecoder, folder: Path, hours: int) -> list[Result]:
    """C3."""
    source = "r=16000:cl=mono"
    (folder / "short").mkdir()
    short = long_silence(folder / "short", minutes=10, source=source)
    long = long_silence(folder, minutes=60 * hours, source=source)
    await added(decoder, short)
    little = [await added(decoder, short) for _ in range(3)]
    much = await added(decoder, long)
    figures = f"{much:.0f} MiB for {hours} h, {max(little):.0f} MiB for 10 minutes"
    growth = [much / max(little)]
    return [
        result(f"C3 MiB added by {hours} h of audio", "idle", [much], aim=64, at_most=True, figures=figures),
        result(f"C3 memory for {hours} h of audio", "10 minutes", growth, aim=1.2, at_most=True, figures=figures),
    ]


def alone(path: Path) -> None:
    """Decode as any program of PyAV does, and drop the samples."""
    with av.open(str(path)) as container:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        container.streams.audio[0].codec_context.thread_count = 1
        for frame in container.decode(audio=0):
            for made in resampler.resample(frame):
                bytes(made.planes[0])
        resampler.resample(None)


def in_one_pass(path: Path) -> None:
    """Decode, keep time, measure loudness, find the cuts and hash the samples."""
    cutter, digest = Cutter(30.0), hashlib.sha256()

    def take(chunk: memoryview) -> None:
        pcm = bytes(chunk)
        digest.update(pcm)
        for _ in cutter.feed(pcm):
            pass

    with path.open("rb", buffering=0) as file:
        extraction = Extraction(file.fileno(), 1e6)
        extraction.run(lambda _: None, take)
    assert extraction.findings.mean_dbfs is not None


def one_pass(files: Sequence[Path], rounds: int) -> Result:
    """C4."""

    def spent(what: Callable[[Path], None]) -> float:
        began = time.process_time()
        for path in files:
            what(path)
        return time.process_time() - began

    spent(alone)
    ratios = [spent(in_one_pass) / spent(alone) for _ in range(rounds)]
    name = "C4 CPU of decode, cuts, loudness and hash in one pass"
    return result(name, "PyAV decode alone", ratios, aim=1.3, at_most=True)


async def bench(rounds: int, seconds: float, hours: int) -> list[Result]:
    """Every row."""
    with tempfile.TemporaryDirectory() as name, closing(await FfmpegDecoder.detect(TranscoderSettings())) as decoder:
        folder = Path(name)
        rows = await against_program(decoder, folder, rounds, seconds)
        rows += await memory(decoder, folder, hours)
        return [*rows, one_pass([folder / "long" / kind for kind in KINDS], rounds)]


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--hours", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    given = parser.parse_args()
    results = asyncio.run(bench(given.rounds, given.seconds, given.hours))
    for row in results:
        print(row)
        print(f"        {row.figures}")
    record(given.output, results)


if __name__ == "__main__":
    main()
