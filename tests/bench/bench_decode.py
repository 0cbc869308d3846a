"""Benches C1 to C4: what it costs to turn media into samples, beside an ffmpeg process a file and beside plain PyAV.

The corpus is the sample monologue as stereo at 44.1 kHz in six forms. Both sides read the same files and hand the
samples to this process. CPU is that of the decoding processes, without that of the reader, which ffmpeg's many small
writes make dear; the column of CPU has both together. C4 is beside the same chain of filters, so that it shows what is
added and not whose loop is better. Run by ``make bench``.
"""

import asyncio
import hashlib
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import psutil
from av import AudioFrame
from av.filter import Graph
from av.filter.context import FilterContext

from support.bench import Result, arguments, record, result
from support.media import SAMPLES, ffmpeg_program, long_silence, make
from transcoder.cut import Cutter
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.ports import RATE, SAMPLE_BYTES
from transcoder.settings import TranscoderSettings
from transcoder.worker.extract import Extraction
from transcoder.worker.resample import CHUNK

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


def cpu() -> tuple[float, float]:
    """CPU seconds of the decoding processes so far, those that fork them included, and of this process."""
    total = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    for child in psutil.Process().children():
        times = child.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total, time.process_time()


@dataclass(frozen=True)
class Run:
    """CPU seconds of the decoders and of this process, wall seconds, and bytes of samples."""

    decoders: float
    reader: float
    wall: float
    samples: int

    @property
    def together(self) -> float:
        """CPU seconds of all."""
        return self.decoders + self.reader


async def measured(decode: Decode, files: Sequence[Path], lanes: int) -> Run:
    """Decode files, so many at once."""
    left = list(files)

    async def lane() -> int:
        total = 0
        while left:
            total += await decode(left.pop())
        return total

    decoders, reader, began = *cpu(), time.monotonic()
    total = sum(await asyncio.gather(*[lane() for _ in range(lanes)]))
    after = cpu()
    return Run(after[0] - decoders, after[1] - reader, time.monotonic() - began, total)


async def against_program(decoder: FfmpegDecoder, folder: Path, rounds: int, seconds: float) -> list[Result]:
    """C1 and C2."""
    long, clips = corpus(folder / "long", seconds), corpus(folder / "clips", 10.0) * 5
    worker = by_worker(decoder)
    await measured(worker, clips, LANES)
    spared, spared_together, faster, cheaper, figures, clip_figures = [], [], [], [], "", ""
    for _ in range(rounds):
        theirs, ours = await measured(by_program, long, 1), await measured(worker, long, 1)
        assert abs(ours.samples - theirs.samples) <= 6 * 2 * 1024, "the two sides decode different audio"
        spared.append(theirs.decoders / ours.decoders)
        spared_together.append(ours.together / theirs.together)
        audio = ours.samples / (RATE * SAMPLE_BYTES)
        figures = f"{audio / ours.decoders:.0f} and {audio / theirs.decoders:.0f} audio s per CPU s"
    for _ in range(rounds):
        theirs, ours = await measured(by_program, clips, LANES), await measured(worker, clips, LANES)
        faster.append(theirs.wall / ours.wall)
        cheaper.append(ours.together / theirs.together)
        clip_figures = f"{len(clips) / ours.wall:.0f} and {len(clips) / theirs.wall:.0f} clips/s, {LANES} at once"
    name = "C1 audio s per CPU s, mixed corpus"
    return [
        result(name, PROGRAM, spared, aim=1.6, cpu=spared_together, figures=figures),
        result(f"{name}: no dearer", PROGRAM, spared, aim=1.0, cpu=spared_together, figures=figures),
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
    """Decode through the filters that `Resampler` has, but for the one that measures, and drop the samples."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        graph, due, position = Graph(), 0, 0
        graph.threads = 1
        source = sink = None
        for packet in container.demux(stream):
            for frame in stream.decode(packet):
                if source is None:
                    source, sink = chain(graph, frame)
                frame.pts = position
                position += frame.samples
                source.push(frame)
                if position >= due:
                    due = position + frame.sample_rate
                    drain(sink)
        assert source is not None
        source.push(None)
        drain(sink)


def chain(graph: Graph, frame: AudioFrame) -> tuple[FilterContext, FilterContext]:
    """The two ends of the filters for frames like this one."""
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=Fraction(1, frame.sample_rate),
    )
    sink = graph.add("abuffersink")
    graph.link_nodes(
        source,
        graph.add("aresample", str(RATE)),
        graph.add("aformat", f"sample_fmts=s16:channel_layouts=mono:sample_rates={RATE}"),
        graph.add("asetnsamples", f"n={CHUNK}:p=0"),
        sink,
    ).configure()
    return source, sink


def drain(sink: FilterContext) -> None:
    """Take what has come through the filters."""
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            bytes(sink.pull().planes[0])


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
    return result(name, "decode alone", ratios, aim=1.3, at_most=True)


async def bench(rounds: int, seconds: float, hours: int) -> list[Result]:
    """Every row."""
    with tempfile.TemporaryDirectory() as name, closing(await FfmpegDecoder.detect(TranscoderSettings())) as decoder:
        folder = Path(name)
        rows = await against_program(decoder, folder, rounds, seconds)
        rows += await memory(decoder, folder, hours)
        return [*rows, one_pass([folder / "long" / kind for kind in KINDS], rounds)]


def main() -> None:
    """Measure and record."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--hours", type=int, default=8)
    given = parser.parse_args()
    results = asyncio.run(bench(given.rounds, given.seconds, given.hours))
    for row in results:
        print(row)
        print(f"        {row.figures}")
    record(given.output, results)


if __name__ == "__main__":
    main()
