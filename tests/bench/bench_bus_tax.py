"""Bench A2: what metrics and traces add to an event, ours beside FastStream's Prometheus and OpenTelemetry middlewares.

Each side runs its own pipeline (consume, handle, publish) with and without them by turns, and the difference in CPU is
their price. Ours without: no trace context on outputs, no timing of handlers and no counting of events. Both give the
same: counters by outcome, a histogram of handlers' seconds, and a W3C trace context with a new span id at each hop;
neither exports spans here. Run by ``make bench``.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from unittest.mock import patch

from common.bus import trace
from common.bus.producer import Outgoing, Producer
from common.bus.work import Worker
from common.metrics import Timings
from common.service import calm_collector
from support.bench import Result, arguments, result, told
from support.peers import PROGRAMS, Driven, driven, peers_python
from support.platform import running_kafka
from support.stage_turns import SERVICE, ours, prepare, source

FASTSTREAM_SOURCE = "bench.tax"


@contextmanager
def unobserved() -> Iterator[None]:
    """Our pipeline without metrics and traces."""
    with (
        patch.object(trace, "child", lambda _: None),
        patch.object(Timings, "observe", lambda *_: None),
        patch.object(Worker, "count", lambda _: None),
    ):
        yield


async def fill(bootstrap: str, count: int, slow: int) -> None:
    """What either side consumes."""
    await prepare(
        bootstrap, (source(uuid.uuid4()) for _ in range(count)), FASTSTREAM_SOURCE, f"{FASTSTREAM_SOURCE}.out"
    )
    producer = Producer(bootstrap, service=SERVICE)
    await producer.start()
    value = json.dumps({"job_id": str(uuid.uuid4()), "owner": "operator", "index": 0}).encode()
    for number in range(slow):
        await producer.deliver(Outgoing(FASTSTREAM_SOURCE, str(number).encode(), value, []))
    await producer.stop()


async def our_price(bootstrap: str, count: int) -> float:
    """CPU microseconds that metrics and traces add to an event of ours."""
    with unobserved():
        plain = await ours(bootstrap, count)
    return (await ours(bootstrap, count)).cpu_us - plain.cpu_us


def their_price(peer: Driven, count: int) -> float:
    """CPU microseconds that the middlewares add to an event of FastStream's."""
    plain: float = peer.ask("plain", count)
    observed: float = peer.ask("observed", count)
    return observed - plain


def compare(bootstrap: str, *, count: int, slow: int, rounds: int) -> list[Result]:
    """Let the two take turns; the figures go to standard output, the ratios are returned."""
    asyncio.run(fill(bootstrap, count, slow))
    calm_collector()
    mine, theirs = [], []
    with driven(peers_python(), PROGRAMS / "faststream_tax.py", bootstrap) as peer:
        for number in range(rounds):
            mine.append(asyncio.run(our_price(bootstrap, count)))
            theirs.append(their_price(peer, slow))
            print(
                f"round {number + 1}  added µs CPU an event: ours {mine[-1]:.1f}, FastStream {theirs[-1]:.1f}",
                flush=True,
            )
    return [
        result(
            "A2 CPU that metrics and traces add to an event",
            "FastStream's Prometheus and OpenTelemetry middlewares",
            [m / t for m, t in zip(mine, theirs, strict=True)],
            aim=0.1,
            at_most=True,
            figures=f"{median(mine):.1f} µs · {median(theirs):.1f} µs",
        )
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=25_000, help="events a turn")
    parser.add_argument("--slow", type=int, default=2_500, help="events a turn of FastStream")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with running_kafka() as kafka:
        results = compare(kafka.bootstrap, count=given.count, slow=given.slow, rounds=given.rounds)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())
