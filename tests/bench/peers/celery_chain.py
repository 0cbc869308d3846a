"""A chain of five Celery tasks that do nothing: the worker's tasks, and a driver that submits jobs and waits for them.

As a program: reads ``COUNT`` a line, puts that many chains in and answers with the seconds until the last has ended.
"""

import json
import os
import sys
import time

from celery import Celery, chain

app = Celery("celery_chain", broker=os.environ["REDIS"], backend=os.environ["REDIS"])


@app.task
def transcode(job):
    """First of five."""
    return job


@app.task
def recognise(job):
    """Second of five."""
    return job


@app.task
def assemble(job):
    """Third of five."""
    return job


@app.task
def translate(job):
    """Fourth of five."""
    return job


@app.task
def record(job):
    """Last of five; its result is the job's."""
    return job


def run(count):
    """Seconds from the first submission until every job's last result is stored."""
    redis = app.backend.client
    redis.flushdb()
    job = {"job_id": "6f1d2c3a-7c1e-5a0e-9a51-5b1d0f0c7e01", "owner": "operator", "lane": "interactive", "attempt": 1}
    began = time.perf_counter()
    left = [
        app.backend.get_key_for_task(
            chain(transcode.s(job), recognise.s(), assemble.s(), translate.s(), record.s()).apply_async().id
        )
        for _ in range(count)
    ]
    while left:
        # Jobs end about in order, so one look at the oldest mostly says enough.
        if redis.exists(left[0]):
            left = [key for key, value in zip(left, redis.mget(left), strict=True) if value is None]
        else:
            time.sleep(0.02)
    return time.perf_counter() - began


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps({"seconds": run(int(line))}), flush=True)
