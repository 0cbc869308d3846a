"""Folder leases between real processes that are slow, stopped and killed: never two holders at once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from common.leases.folder import FolderLeases
from support.waiting import until

TTL = 0.4

# Holds leases at random for a while. Each line tells from when to when it was sure to hold one: from the answer that
# gave it to the moment it sent the last beat that was confirmed. Monotonic time is one for all processes of a machine.
# A slow disk widens the moment between a look at a lease and the change that follows from it.
WORKER = """
import asyncio, json, os, pathlib, random, sys, time
from common.leases import folder as module
from common.leases.folder import FolderLeases

look = module._load

def slow(file):
    entry = look(file)
    time.sleep(random.random() * 0.02)
    return entry

async def main(folder, log, seed, ttl, seconds):
    module._load = slow
    dice = random.Random(seed)
    leases = FolderLeases(pathlib.Path(folder), ttl=ttl)
    end = time.monotonic() + seconds
    with open(log, "a") as out:
        while time.monotonic() < end:
            lease = await leases.acquire(f"event-{dice.randrange(2)}")
            if lease is None:
                await asyncio.sleep(dice.random() * ttl / 4)
                continue
            begun = sure = time.monotonic()
            stop = begun + dice.random() * ttl * 2
            lost = False
            while not lost:
                out.write(json.dumps([lease.name, lease.token, begun, sure, lease.takeovers]) + "\\n")
                out.flush()
                if time.monotonic() > stop:
                    break
                await asyncio.sleep(ttl / 8 if dice.random() < 0.97 else ttl * 1.3)
                sent = time.monotonic()
                lost = not await leases.renew(lease)
                early = lost and time.monotonic() - sure < ttl * 0.7
                if early:
                    out.write(json.dumps([lease.name, "early", begun, sure, lease.takeovers]) + "\\n")
                sure = sure if lost else sent
            if dice.random() < 0.1:
                os._exit(9)
            await leases.release(lease)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
"""


def worker(folder: Path, log: Path, seed: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, folder, log, str(seed), str(TTL), str(seconds)])


@pytest.mark.slow
def test_never_two_holders(tmp_path: Path) -> None:
    """Two crowds in folders of their own, side by side: nearly all of their time is waiting."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda seed: crowd(tmp_path / str(seed), seed), [1, 2]))


def crowd(root: Path, seed: int) -> None:
    root.mkdir()
    dice = random.Random(seed)
    folder, log = root / ".leases", root / "held.jsonl"
    end = time.monotonic() + 10
    workers = {number: worker(folder, log, seed * 1000 + number, 10) for number in range(6)}
    stopped: dict[int, float] = {}
    number = len(workers)
    while time.monotonic() < end:
        time.sleep(0.05)
        for key, until_then in list(stopped.items()):
            if time.monotonic() > until_then:
                workers[key].send_signal(signal.SIGCONT)
                del stopped[key]
        for key, process in list(workers.items()):
            if process.poll() is not None and (left := end - time.monotonic()) > 1:
                stopped.pop(key, None)
                del workers[key]
                workers[number] = worker(folder, log, seed * 1000 + number, left)
                number += 1
        running = [key for key in workers if key not in stopped]
        if dice.random() < 0.15 and len(running) > 3:
            key = dice.choice(running)
            workers[key].send_signal(signal.SIGSTOP if dice.random() < 0.6 else signal.SIGKILL)
            stopped[key] = time.monotonic() + TTL * (1 + 2 * dice.random())
    for process in workers.values():
        process.send_signal(signal.SIGCONT)
    for process in workers.values():
        process.wait(20)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line[1] == "early"] == [], "lost although it had beaten in time"
    holds = {token: (name, begun, sure) for name, token, begun, sure, _ in lines}
    assert len(holds) > 20
    assert any(takeovers for *_, takeovers in lines), "the test must have seen take-overs"
    for name in {name for name, *_ in holds.values()}:
        held = sorted((begun, sure) for other, begun, sure in holds.values() if other == name)
        for (_, sure), (begun, _) in pairwise(held):
            assert sure <= begun, f"{name} was held twice for {sure - begun:.3f} s"


async def test_a_stopped_holder_loses_and_is_told(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from common.leases.folder import FolderLeases
async def main():
    leases = FolderLeases(pathlib.Path(sys.argv[1]), ttl=0.4)
    lease = await leases.acquire("a")
    await leases.renew(lease, alone=True)
    print("held", flush=True)
    sys.stdin.readline()
    print(await leases.renew(lease), flush=True)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, tmp_path / ".leases"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        leases = FolderLeases(tmp_path / ".leases", ttl=TTL)
        assert await leases.acquire("a") is None
        holder.send_signal(signal.SIGSTOP)
        lease = None
        deadline = time.monotonic() + 10
        while lease is None and time.monotonic() < deadline:
            lease = await leases.acquire("a")
        assert lease is not None
        assert (lease.takeovers, lease.alone) == (1, 1), "what the holder said of itself outlives it"
        holder.send_signal(signal.SIGCONT)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "False\n"
    assert await leases.renew(lease)


def test_a_clock_set_back_does_not_keep_a_dead_holder_alive(tmp_path: Path) -> None:
    import asyncio

    leases = FolderLeases(tmp_path / ".leases", ttl=TTL)
    held = asyncio.run(leases.acquire("a"))
    assert held is not None
    [file] = (tmp_path / ".leases").glob("*.lease")
    os.utime(file, (time.time() + 3600,) * 2)
    assert until(lambda: asyncio.run(leases.acquire("a")), seconds=5, why="the lease lapses").takeovers == 1


def test_what_never_came_back_is_swept(tmp_path: Path) -> None:
    import asyncio

    leases = FolderLeases(tmp_path / ".leases", ttl=TTL)
    asyncio.run(leases.acquire("old"))
    [old] = (tmp_path / ".leases").glob("*.lease")
    os.utime(old, (time.time() - 90_000,) * 2)
    new = asyncio.run(leases.acquire("new"))
    assert new is not None
    assert leases.sweep() == 1
    assert not old.exists()
    assert asyncio.run(leases.renew(new))
