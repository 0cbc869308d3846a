"""The subscriber in docs/events/README.md works as it stands, on a real Kafka."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from common import envelope, topics
from common.events import BlobRef, TranscriptCompleted

README = Path(__file__).parents[2] / "docs/events/README.md"


@contextmanager
def running(program: str, bootstrap: str) -> Iterator["Queue[str]"]:
    """Run a program and yield the lines it prints."""
    lines: Queue[str] = Queue()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SCRIBEWIRE_KAFKA": bootstrap},
    )
    assert process.stdout is not None
    output = process.stdout
    reading = Thread(target=lambda: [lines.put(line.rstrip("\n")) for line in output])
    reading.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        reading.join()
        output.close()


async def test_the_subscriber_of_the_page(kafka_bootstrap: str) -> None:
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    program = program.replace('"my-program"', f'"test-{uuid4()}"')
    await topics.apply(kafka_bootstrap)
    events = [
        TranscriptCompleted(
            job_id=uuid4(),
            owner="operator",
            transcript=BlobRef(name="t"),
            text=text,
            language="en",
            duration=1.0,
            words=2,
            segments=1,
            provider="test",
        )
        for text in ("good morning", "Grüße, 世界")
    ]
    first, second = events
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all")
    await producer.start()
    try:
        for event in (first, first, second):
            await producer.send_and_wait(
                event.topic,
                envelope.body(event),
                key=event.key.encode(),
                headers=envelope.headers(event, service="transcriber"),
            )
        await producer.send_and_wait(second.topic, None, key=second.key.encode())
        await producer.send_and_wait(first.topic, None, key=first.key.encode())
    finally:
        await producer.stop()

    ours = {event.key for event in events}
    expected = {
        f"{first.key} en good morning",
        f"{second.key} en Grüße, 世界",
        f"{first.key} deleted",
        f"{second.key} deleted",
    }
    printed: list[str] = []
    with running(program, kafka_bootstrap) as lines:
        while not expected <= set(printed):
            line = lines.get(timeout=30)
            if line.split(" ")[0] in ours:  # the session's Kafka may hold other tests' transcripts
                printed.append(line)
    assert sorted(printed) == sorted(expected), "each once, the repeat not printed"
    for event in events:
        assert printed.index(f"{event.key} en {event.text}") < printed.index(f"{event.key} deleted")
