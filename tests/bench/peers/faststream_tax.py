"""One FastStream subscriber that publishes each event on, with or without its two observing middlewares.

As a program, called with Kafka's address: reads ``plain COUNT`` or ``observed COUNT`` a line, consumes so many events
of the topic ``bench.tax`` and answers with the microseconds of CPU that each cost. The tracer has no exporter: what is
measured is making and passing on spans, not sending them anywhere.
"""

import asyncio
import json
import sys
import time
import uuid

from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry


def middlewares():
    """As FastStream's documentation sets them up."""
    tracing = KafkaTelemetryMiddleware(tracer_provider=TracerProvider(), meter_provider=MeterProvider())
    return [KafkaPrometheusMiddleware(registry=CollectorRegistry()), tracing]


async def run(bootstrap, count, *, observed):
    """CPU microseconds of an event. Offsets are committed now and then, so that commits do not hide the difference."""
    seen, done, began = 0, asyncio.Event(), 0.0
    broker = KafkaBroker(bootstrap, logger=None, middlewares=middlewares() if observed else [])
    publisher = broker.publisher("bench.tax.out")

    @broker.subscriber("bench.tax", group_id=f"tax-{uuid.uuid4().hex}", auto_offset_reset="earliest")
    async def handle(event: dict) -> None:
        nonlocal seen, began
        if seen == 0:
            began = time.process_time()
        seen += 1
        await publisher.publish(event, key=b"key")
        if seen == count:
            done.set()

    await broker.start()
    await done.wait()
    cost = (time.process_time() - began) / count * 1e6
    await broker.stop()
    return cost


if __name__ == "__main__":
    for line in sys.stdin:
        kind, number = line.split()
        print(json.dumps(asyncio.run(run(sys.argv[1], int(number), observed=kind == "observed"))), flush=True)
