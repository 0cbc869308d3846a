"""R12: what a bad network does on each link costs no job, no ending and no payment that it did not cut itself."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence

import pytest

from support.faulty_proxy import FAULTS, Fault
from support.linked import LINKS, Link, Linked, linked
from support.promises import FULL, SEED, scenario
from support.thread_loop import ThreadLoop

JOBS = 50 if FULL else 8
WINDOW = 8.0 if FULL else 3.5
"""Seconds a fault lasts; the full ones outlast a session (6 s), so that a half-open link costs its place in a group."""
MEETS_NOTHING = 30.0
PATIENCE = 240.0 if FULL else 90.0
PAIRS = 10 if FULL else 1
BYTES_A_SECOND = (1.0, 300.0)
"""Slicing delivers one byte a second, as the promise says; then so many that requests are whole in the end."""

Trouble = tuple[Link, Fault]


@pytest.fixture(scope="module")
def platform() -> Iterator[Linked]:
    loop = ThreadLoop()
    env = {
        "SCRIBEWIRE_RETRY_DELAYS": "[1, 3, 8]",
        "SCRIBEWIRE_PUBLISH_SECONDS": "3",
        "SCRIBEWIRE_WEBHOOK_SECONDS": "4",
        "SCRIBEWIRE_WEBHOOK_TIME_SCALE": "0.01",
        "SCRIBEWIRE_LEASE_TTL": "15",
    }
    with linked(loop, env) as up:
        yield up
    loop.close()


def singles() -> list[list[Trouble]]:
    """Each fault on each link; a seeded choice in the small version, which meets every fault but one."""
    chance = random.Random(SEED)
    every = [(link, fault) for link in LINKS for fault in FAULTS]
    few = [chance.choice([one for one in every if one[1] == fault]) for fault in chance.sample(FAULTS, 4)]
    return [[one] for one in (every if FULL else few)]


def pairs() -> list[list[Trouble]]:
    """Two links in trouble at once, chosen by the seed."""
    chance = random.Random(SEED + 1)
    return [[(link, chance.choice(FAULTS)) for link in chance.sample(LINKS, 2)] for _ in range(PAIRS)]


def described(those: Sequence[Trouble]) -> str:
    return " and ".join(f"{fault} {link}" for link, fault in those)


async def disturb(platform: Linked, those: Sequence[Trouble]) -> None:
    """Let each fault last for the window, and until it has done something; then heal.

    Raises
    ------
    TimeoutError
        A fault met no traffic, so that it proved nothing.
    """
    proxies = [platform.proxies[link] for link, _ in those]
    met = [(proxy, fault) for proxy, (_, fault) in zip(proxies, those, strict=True)]
    for proxy in proxies:
        proxy.hits.clear()
    try:
        for rate in BYTES_A_SECOND:
            for proxy, fault in met:
                if fault == "slicing" or proxy.fault is None:
                    await proxy.inject(fault, rate=rate)
            await asyncio.sleep(WINDOW / len(BYTES_A_SECOND))
        # On a busy machine the first job may not have come so far yet.
        async with asyncio.timeout(MEETS_NOTHING):
            while not all(proxy.hits[fault] for proxy, fault in met):
                for proxy, fault in met:
                    if proxy.fault is not None and proxy.hits[fault]:
                        await proxy.heal()  # nothing may come as far as the other link before
                await asyncio.sleep(0.1)
    finally:
        for proxy in proxies:
            await proxy.heal()


def trouble(platform: Linked, key: str, those: Sequence[Trouble]) -> tuple[float, int]:
    """Submit jobs under some faults and wait until all have ended; seconds that took, and how often a fault acted."""
    name, began, paid = described(those), time.monotonic(), platform.paid_twice()
    submits = platform.submits(f"r12-{key}", seed=SEED * 1000 + len(platform.accepted), translate=4)
    submitting = platform.loop.start(submits.run(JOBS, every=WINDOW / JOBS / 2))
    platform.loop.run(disturb(platform, those), seconds=WINDOW + MEETS_NOTHING + 10)
    submitting.result(PATIENCE)
    platform.ended(submits, seconds=PATIENCE)
    took = time.monotonic() - began
    hits = sum(platform.proxies[link].hits[fault] for link, fault in those)
    print(f"{name}: {took:.1f} s, hits {hits}", flush=True)
    # Who calls a provider over a network that cuts the answer off cannot know that it was heard.
    if not any(link.server == "provider" for link, _ in those):
        assert platform.paid_twice() == paid, name
    return took, hits


@pytest.mark.parametrize(
    ("name", "all_troubles"), [("network faults on each link", singles()), ("pairs of network faults", pairs())]
)
def test_no_fault_of_the_network_costs_anything(platform: Linked, name: str, all_troubles: list[list[Trouble]]) -> None:
    with scenario("R12", name) as tally, platform.explained():
        slowest, slowest_name, hits, paid = 0.0, "", 0, platform.paid_twice()
        before, key = len(platform.accepted), name.partition(" ")[0]
        try:
            for number, those in enumerate(all_troubles):
                took, met = trouble(platform, f"{key}-{number}", those)
                hits += met
                tally.faults += len(those)
                slowest, slowest_name = max((slowest, slowest_name), (took, described(those)))
        finally:
            tally.paid_twice = platform.paid_twice() - paid
            tally.figures |= {
                "jobs": len(platform.accepted) - before,
                "pieces and connections disturbed": hits,
                "slowest": round(slowest, 1),
                "slowest fault": slowest_name,
            }
            # Of all jobs at once, and also when it broke off: a history is read as a whole.
            platform.judged(tally)
        platform.caught_up(seconds=60)
        assert tally.redelivered or not FULL, "nothing came again, so the run proves nothing"
