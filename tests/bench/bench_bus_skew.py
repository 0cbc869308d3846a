"""Bench A5: one slow key among 256 in a stage that keeps keys in order, beside the same stage without it.

The slow key's events take 100 ms each and wait for one another; measured is how fast the other 255 keys' events are
handled and published, from the first to the last of them. Run by ``make bench``.
"""

import asyncio
import random
import sys
import uuid
from statistics import median

from common.bus import Context
from common.events import SegmentTranscribed, StageProgress
from common.service import calm_collector
from support.bench import Result, arguments, result, told
from support.platform import running_kafka
from support.stage_turns import Clock, Run, output, prepare, source, turn

KEYS = 256
SLOW_SECONDS = 0.1
JOBS = [uuid.UUID(int=number) for number in range(KEYS)]
SLOW = JOBS[0]


async def others(bootstrap: str, count: int, *, slow: float) -> Run:
    """Handle the events of all keys but one, while that one's take ``slow`` seconds each."""
    clock, handled = Clock(), asyncio.Event()

    async def handler(event: SegmentTranscribed, _: Context) -> list[StageProgress]:
        if event.job_id == SLOW:
            await asyncio.sleep(slow)
            return [output(event)]
        clock.tick()
        if clock.count == count:
            handled.set()
        return [output(event)]

    stop = await turn(bootstrap, handler, handled, committed=False, ordered=True)
    run = clock.stop()
    await stop()
    return run


async def compare(bootstrap: str, *, count: int, rounds: int) -> list[Result]:
    """Let the two take turns; the figures go to standard output, the ratios are returned."""
    jobs = [job for job in JOBS for _ in range(count // KEYS)]
    random.Random(1).shuffle(jobs)
    await prepare(bootstrap, map(source, jobs))
    quick = len(jobs) - jobs.count(SLOW)
    calm_collector()
    with_slow, without = [], []
    for number in range(rounds):
        with_slow.append(await others(bootstrap, quick, slow=SLOW_SECONDS))
        print(f"round {number + 1}  with it    {with_slow[-1]}", flush=True)
        without.append(await others(bootstrap, quick, slow=0.0))
        print(f"round {number + 1}  without it {without[-1]}", flush=True)
    return [
        result(
            "A5 events per second of 255 keys beside a slow one",
            "the same without it",
            [a.per_second / b.per_second for a, b in zip(with_slow, without, strict=True)],
            aim=0.95,
            cpu=[a.cpu_us / b.cpu_us for a, b in zip(with_slow, without, strict=True)],
            figures=" · ".join(f"{median(r.per_second for r in runs):,.0f} events/s" for runs in (with_slow, without)),
        )
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=40_960, help="events a turn, of all keys")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with running_kafka() as kafka:
        results = asyncio.run(compare(kafka.bootstrap, count=given.count, rounds=given.rounds))
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())
