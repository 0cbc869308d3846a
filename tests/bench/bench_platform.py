"""Bench F1: the whole platform beside its own recogniser in a bare loop.

The peer gets the very segments that the transcoder had cut, as files, and two warm processes that take one after the
other, without anything around them. The platform gets recordings by upload and gives transcripts: it decodes, cuts,
stores, leases, publishes, assembles and records beside two recogniser processes of the same program, on the same
cores. They take turns; a ratio is of one round. The recogniser is pocketsphinx. Run by ``make bench``.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import psutil

from support.bench import Result, arguments, result, told
from support.costs import Costs
from support.media import SAMPLES, make
from support.running import Running, running
from support.transcribing import transcribe_all
from transcriber.providers.pocketsphinx_worker import Decoder

WORKERS = 2
_decoder: Decoder


@dataclass(frozen=True)
class Run:
    """One turn: seconds of wall time, and CPU seconds of everything that took part."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Case:
    """What is recognised in one turn: so many recordings of so many seconds."""

    name: str
    recordings: int
    seconds: float
    aim: float


def speech(folder: Path, case: Case, number: int) -> list[Path]:
    """Recordings of real speech, the two samples over and over; no two are the same bytes."""
    both = folder / "both.wav"
    if not both.exists():
        make(
            "-i",
            SAMPLES / "monologue.wav",
            "-i",
            SAMPLES / "dialogue.wav",
            "-filter_complex",
            "concat=n=2:v=0:a=1",
            both,
        )
    files = []
    for at in range(case.recordings):
        path = folder / f"{case.seconds:g}-{at}.flac"
        start = ("-ss", str(at * 3 % 25)) if case.seconds < 25 else ()
        label = ("-metadata", f"title={number}")
        make("-stream_loop", "-1", "-i", both, *start, "-t", str(case.seconds), *label, path)
        files.append(path)
    return files


def segments(platform: Running, jobs: Sequence[str]) -> list[Path]:
    """The audio of jobs as the transcoder cut it."""
    found = [path for job in jobs for path in sorted((platform.home / "blobs").rglob(f"*{job}*/**/*.wav"))]
    if not found:
        raise RuntimeError("there are no segments")
    return found


def start() -> None:
    """Warm a process of the bare loop."""
    global _decoder  # noqa: PLW0603 - the process's one decoder
    os.nice(5)
    _decoder = Decoder()


def recognise(path: Path) -> int:
    """Recognise a segment in a process of the bare loop; how many words there were."""
    return len(_decoder(path))


def bare(pool: Pool, files: Sequence[Path]) -> Run:
    """The bare loop's turn."""
    workers = [
        psutil.Process(child.pid) for child in psutil.Process().children() if "spawn_main" in str(child.cmdline())
    ]

    def cpu() -> float:
        return sum(sum(worker.cpu_times()[:2]) for worker in workers)

    before, wall = cpu(), time.perf_counter()
    words = sum(pool.imap_unordered(recognise, files))
    run = Run(time.perf_counter() - wall, cpu() - before)
    if not words:
        raise RuntimeError("nothing was recognised")
    return run


def ours(platform: Running, costs: Costs, files: Sequence[Path]) -> tuple[Run, list[str]]:
    """The platform's turn, from the first byte sent to the last job completed; the jobs' ids come with it."""
    before, wall = costs.cpu(), time.perf_counter()
    jobs = transcribe_all(platform, files)
    return Run(time.perf_counter() - wall, costs.cpu() - before), [str(job["id"]) for job in jobs]


def compare(platform: Running, pool: Pool, folder: Path, case: Case, *, rounds: int) -> Result:
    """Let both take turns; the figures go to standard output, the result is returned."""
    costs = Costs(platform)
    runs: list[tuple[Run, Run]] = []
    for number in range(rounds):
        run, jobs = ours(platform, costs, speech(folder, case, number))
        peer = bare(pool, segments(platform, jobs))
        runs.append((run, peer))
        print(
            f"{case.name} {number + 1}  platform {run.wall:6.2f} s, {run.cpu:6.2f} CPU s"
            f"  bare loop {peer.wall:6.2f} s, {peer.cpu:6.2f} CPU s",
            flush=True,
        )
    audio = case.recordings * case.seconds
    return result(
        f"F1 whole platform on {case.recordings} recordings of {case.name}: audio per second, {rounds} rounds",
        f"pocketsphinx in a bare loop, {WORKERS} processes",
        [peer.wall / run.wall for run, peer in runs],
        aim=case.aim,
        cpu=[run.cpu / peer.cpu for run, peer in runs],
        figures=f"{audio / min(r.wall for r, _ in runs):.1f} against {audio / min(p.wall for _, p in runs):.1f} times"
        " real time, best rounds",
    )


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of a long recording")
    parser.add_argument("--recordings", type=int, default=1, help="long recordings in one turn")
    parser.add_argument("--clips", type=int, default=8, help="10 s clips in one turn")
    given = parser.parse_args()
    cases = [
        Case(f"{given.minutes:g} min", given.recordings, given.minutes * 60, 0.97),
        Case("10 s", given.clips, 10.0, 0.9),
    ]
    env = {"SCRIBEWIRE_OFFLINE_WORKERS": str(WORKERS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        get_context("spawn").Pool(WORKERS, start) as pool,
        running(env) as platform,
    ):
        compare(platform, pool, Path(folder), Case("warm-up", 2, 10.0, 0.0), rounds=1)
        results = [compare(platform, pool, Path(folder), case, rounds=given.rounds) for case in cases]
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())
