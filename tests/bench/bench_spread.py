"""Whether the segments of one recording spread: one hour on two transcriber processes beside one.

Twice: by a provider that costs nothing and takes a set time for each call, where a transcriber makes so many calls at
once; and by pocketsphinx, one worker process to a transcriber, on less audio. Measured is what transcribers do: from
the end of transcoding to the completed job. One and two take turns on one platform: the second transcriber joins and
leaves as a rolling update would have it. Run by ``make bench``.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire_local.parts import environment
from scribewire_local.ports import free_port
from scribewire_local.settings import LocalSettings
from support.bench import Result, arguments, result, told
from support.fake_deepgram import FakeDeepgram
from support.media import SAMPLES, make
from support.running import Running, running
from support.thread_loop import ThreadLoop
from support.transcribing import tones
from support.waiting import until

LATENCY = 0.4
PAID = {"SCRIBEWIRE_SEGMENT_SECONDS": "20", "SCRIBEWIRE_CONCURRENCY": "6"}
OFFLINE = {"SCRIBEWIRE_SEGMENT_SECONDS": "6", "SCRIBEWIRE_OFFLINE_WORKERS": "1"}
"""Fine segments, so that a short recording has enough of them to share."""
WARM_UP = 20
"""Seconds of speech that warm up a recogniser."""


@contextmanager
def second_transcriber(platform: Running, log: Path) -> Iterator[None]:
    """One more transcriber beside the platform's own, ready inside the block."""
    own = environment(platform.home, LocalSettings(home=platform.home))
    port = free_port()
    env = {**os.environ, **platform.env, **own, "SCRIBEWIRE_HEALTH_PORT": str(port)}

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError):
            return False

    with log.open("ab") as out:
        other = subprocess.Popen([sys.executable, "-m", "transcriber"], env=env, stdout=out, stderr=out)
        try:
            until(ready, seconds=60, why="the second transcriber is ready")
            yield
        finally:
            other.terminate()
            other.wait(60)


def recognised(platform: Running, file: Path, provider: str) -> float:
    """Seconds from the end of transcoding to the end of the job."""
    with Client(Gateway(platform.url, platform.key)) as client:
        job = client.submit(file, {"provider": provider})
        begun: float | None = None
        state: Any = job
        for state in client.follow(str(job["id"])):
            if begun is None and state["status"] == "transcribing":
                begun = time.perf_counter()
    if state["status"] != "completed" or begun is None:
        raise RuntimeError(state)
    return time.perf_counter() - begun


def compare(
    platform: Running, folder: Path, provider: str, media: Callable[[int], Path], *, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds with one transcriber and with two, in turn; recordings numbered 0 and less only warm up."""
    one, two = [], []
    recognised(platform, media(0), provider)
    for number in range(rounds):
        one.append(recognised(platform, media(2 * number + 1), provider))
        with second_transcriber(platform, folder / "second.log"):
            if provider == "pocketsphinx":  # a warm worker in either
                recognised(platform, media(-number - 1), provider)
            two.append(recognised(platform, media(2 * number + 2), provider))
        print(f"round {number + 1}  {provider:12}  one {one[-1]:6.2f} s  two {two[-1]:6.2f} s", flush=True)
    return one, two


def speech(folder: Path, seconds: int, number: int) -> Path:
    """The samples, over and over; each number gives other bytes."""
    path = folder / "speech.flac"
    loop = ("-stream_loop", "-1", "-i", SAMPLES / "monologue.wav", "-t", str(seconds))
    make(*loop, "-metadata", f"title={number}", path)
    return path


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=int, default=60, help="length of the recording for the provider")
    parser.add_argument("--seconds", type=int, default=300, help="length of the recording for pocketsphinx")
    given = parser.parse_args()
    loop = ThreadLoop()
    with tempfile.TemporaryDirectory() as name, loop.entered(FakeDeepgram(latency=LATENCY)) as engine:
        folder = Path(name)
        env = {"DEEPGRAM_API_KEY": engine.key, "DEEPGRAM_BASE_URL": engine.url}
        with running({**PAID, **env}) as platform:
            paid = compare(
                platform,
                folder,
                "deepgram",
                lambda number: tones(folder, given.minutes, tags={"title": str(number)}),
                rounds=given.rounds,
            )
        with running(OFFLINE) as platform:
            offline = compare(
                platform,
                folder,
                "pocketsphinx",
                lambda number: speech(folder, given.seconds if number > 0 else WARM_UP, number),
                rounds=given.rounds,
            )
    loop.close()
    results = [
        spread(f"recognising {given.minutes} min on 2 transcribers, a provider of {LATENCY:g} s a call", paid),
        spread(f"recognising {given.seconds} s on 2 transcribers of one pocketsphinx worker each", offline),
    ]
    return told(given.output, results)


def spread(name: str, times: tuple[list[float], list[float]]) -> Result:
    """The ratios of one against two."""
    one, two = times
    return result(
        name,
        "on 1 transcriber",
        [a / b for a, b in zip(one, two, strict=True)],
        aim=1.8,
        figures=f"{sorted(two)[len(two) // 2]:.1f} against {sorted(one)[len(one) // 2]:.1f} s",
    )


if __name__ == "__main__":
    sys.exit(main())
