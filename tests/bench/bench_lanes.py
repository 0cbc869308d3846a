"""Whether a lone upload waits behind a bulk backlog: its latency idle, and behind thousands of bulk jobs.

From the first byte of the upload to the `completed` of its event stream, through the gateway as any client would. The
backlog is put straight on the log, as the gateway would have; every job has bytes, segments, calls, rows and an
announcement of its own. The provider costs nothing and answers after a set time. Run by ``make bench``.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from common import layout
from common.blobs.folder import FolderBlobs
from common.bus.producer import Producer
from common.events import BlobRef, UploadReceived
from common.options import JobOptions, SegmentPlan
from scribewire.client import Client
from scribewire.config import Gateway
from scribewire_local.parts import environment
from scribewire_local.settings import LocalSettings
from support.bench import Result, arguments, result, told
from support.fake_deepgram import FakeDeepgram
from support.history import statuses_in
from support.paid_platform import paid_platform
from support.running import Running
from support.tones import recording
from support.transcribing import transcribe
from support.waiting import until

OWNER = "operator"
LATENCY = 1.0
"""Seconds the provider takes; a real one takes longer."""
WARM_UP = 3


def joined(platform: Running) -> dict[str, str]:
    """The environment of the platform's services."""
    return environment(platform.home, LocalSettings(home=platform.home))


async def backlog(platform: Running, count: int) -> None:
    """Put bulk jobs on the log, their bytes stored before."""
    there = joined(platform)
    blobs, source = FolderBlobs(Path(there["SCRIBEWIRE_BLOBS"].removeprefix("file://"))), recording(0)
    digest = sha256(source).hexdigest()
    name = layout.original(OWNER, uuid4(), digest)
    await blobs.write(name, source)
    producer = Producer(there["SCRIBEWIRE_KAFKA"], service="gateway")
    await producer.start()
    try:
        await producer.publish_many(
            UploadReceived(
                job_id=uuid4(),
                owner=OWNER,
                lane="bulk",
                source=BlobRef(name=name, size=len(source)),
                filename=f"{number}.wav",
                sha256=digest,
                options=JobOptions(priority="bulk"),
                plan=SegmentPlan(provider="deepgram", max_seconds=300.0),
            )
            for number in range(count)
        )
    finally:
        await producer.stop()


def latencies(client: Client, folder: Path, *, first: int, count: int) -> list[float]:
    """Seconds from submit to completed of some recordings, one after the other."""
    found = []
    for number in range(first, first + count):
        file = folder / f"{number}.wav"
        file.write_bytes(recording(number + 1))
        began = time.perf_counter()
        transcribe(client, file, priority="interactive")
        found.append(time.perf_counter() - began)
    return found


def bulk_jobs(platform: Running) -> tuple[int, int]:
    """How many jobs are recorded and how many of them are completed."""
    jobs = asyncio.run(statuses_in(joined(platform)["DATABASE_URL"]))
    return len(jobs), sum(status == "completed" for status in jobs.values())


def compare(platform: Running, engine: FakeDeepgram, folder: Path, *, count: int, jobs: int) -> list[Result]:
    """Idle, then behind the backlog; the figures go to standard output, the result is returned."""
    with Client(Gateway(platform.url, platform.key)) as client:
        latencies(client, folder, first=0, count=WARM_UP)
        idle = latencies(client, folder, first=WARM_UP, count=count)
        print("idle    ", *(f"{seconds:.2f}" for seconds in idle), flush=True)
        asyncio.run(backlog(platform, jobs))
        calls = len(engine.calls)
        until(lambda: len(engine.calls) > calls + 2 * engine_slots(), seconds=60, why="the backlog is being worked on")
        behind = latencies(client, folder, first=WARM_UP + count, count=count)
        print("behind  ", *(f"{seconds:.2f}" for seconds in behind), flush=True)
        recorded, completed = bulk_jobs(platform)
    if completed - 2 * count - WARM_UP > jobs - 500:
        raise RuntimeError(f"the backlog was used up: {completed} of {recorded}")
    return [
        result(
            f"interactive job behind {jobs} bulk jobs: submit to completed, provider {LATENCY:g} s",
            "idle",
            [b / statistics.median(idle) for b in behind],
            aim=1.5,
            at_most=True,
            figures=f"{statistics.median(behind):.2f} against {statistics.median(idle):.2f} s, medians of {count};"
            f" {completed} jobs done by the end",
        )
    ]


def engine_slots() -> int:
    """Calls at once of one transcriber for bulk work, at most."""
    return 16


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=11, help="interactive jobs measured on either side")
    parser.add_argument("--jobs", type=int, default=5000, help="bulk jobs in the way")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, paid_platform(latency=LATENCY) as (platform, engine):
        results = compare(platform, engine, Path(folder), count=given.count, jobs=given.jobs)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())
