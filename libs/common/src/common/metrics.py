"""Every metric of the platform's services, declared once."""

from bisect import bisect_left
from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

OUTCOMES = ("done", "cancelled", "retried", "dead", "undecodable", "duplicate", "tombstone")
"""How dealing with an event can end."""

EVENTS = Counter(
    "scribewire_events",
    "Events dealt with, by how that ended.",
    ["service", "event", "outcome"],
)
RUNNING = Gauge("scribewire_handlers_running", "Handlers that run now.", ["service", "event"])
HELD = Gauge("scribewire_records_held", "Records taken from Kafka and not yet committed.", ["group"])
LAG = Gauge("scribewire_lag_records", "Records from this member's finished offsets to the partitions' ends.", ["group"])
COMMIT_FAILURES = Counter(
    "scribewire_commit_failures", "Offset commits that failed; reason rebalance is harmless.", ["group", "reason"]
)


class Timings:
    """How long one stage's handlers took; for the event loop's thread only, and so without locks."""

    BOUNDS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0)

    def __init__(self) -> None:
        self._counts = [0] * (len(self.BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one handler."""
        self._counts[bisect_left(self.BOUNDS, seconds)] += 1
        self._sum += seconds

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound, and the sum in seconds."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, self.BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets, self._sum


class HandlerSeconds(Collector):
    """A histogram whose observations cost a tenth of the client library's, which takes locks for threads."""

    def __init__(self) -> None:
        self._timings: dict[tuple[str, str], Timings] = {}
        REGISTRY.register(self)

    def labels(self, service: str, event: str) -> Timings:
        """The timings of one stage."""
        return self._timings.setdefault((service, event), Timings())

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What the registry asks for."""
        family = HistogramMetricFamily(
            "scribewire_handler_seconds",
            "Seconds a handler worked on one event, or on one batch.",
            labels=["service", "event"],
        )
        for labels, timings in self._timings.items():
            buckets, total = timings.buckets()
            family.add_metric(labels, buckets, total)
        yield family


HANDLER_SECONDS = HandlerSeconds()
