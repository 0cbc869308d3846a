"""A fleet under load, and the judgement of what came of it: where every scenario of kills begins and ends."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from common.events import JobFailed
from support.fake_deepgram import FakeDeepgram
from support.fleet import KEY, Fleet, Life
from support.history import History, observe, statuses_in
from support.load import Load
from support.paid_calls import Call
from support.promises import SEED, Tally
from support.receiver import Receiver
from support.verdict import ENDED, Death, billed_milliseconds, check, paid_twice, unexplained


class Trial:
    """One scenario's part of what a fleet does; what was there before it is not looked at.

    Parameters
    ----------
    fleet
        Runs, and has nothing left to do.
    engine
        The provider its transcribers call, each under its own name; takes up to 200 ms unless told otherwise.
    receiver
        Is registered for every ending.
    """

    def __init__(self, fleet: Fleet, engine: FakeDeepgram, receiver: Receiver, folder: Path) -> None:
        self.fleet = fleet
        self.engine = engine
        self._receiver = receiver
        self._folder = folder
        self._before = frozenset(asyncio.run(statuses_in(fleet.dsn)))
        self._calls = len(engine.calls)
        self._hooks = len(receiver.received)
        self._began = time.time()
        chance = random.Random(SEED)
        engine.latency = lambda _call: chance.uniform(0.0, 0.2)

    @property
    def calls(self) -> list[Call]:
        """What the provider was asked since the trial began."""
        return self.engine.calls[self._calls :]

    @property
    def lives(self) -> list[Life]:
        """Processes that ended since the trial began."""
        return [life for life in self.fleet.lives if life.ended is not None and life.ended >= self._began]

    def load(self, name: str, jobs: int, **how: Any) -> Load:
        """Clients for the fleet's gateways; see `Load`."""
        return Load(lambda: self.fleet.urls, KEY, self._folder / name, name=name, jobs=jobs, **how)

    def endless(self, name: str, *, most: int, **how: Any) -> Load:
        """Clients that go on until there is `Load.enough`, with at most so many jobs that have not ended."""
        load: Load

        def room() -> bool:
            return len(load.accepted) - len(self.announced()) < most

        load = self.load(name, 20_000, room=room, **how)
        return load

    def announced(self) -> set[str]:
        """Ids of the endings since the trial began that the receiver was told of."""
        return {hook.id for hook in self._receiver.received[self._hooks :]}

    def in_flight(self) -> list[Call]:
        """Calls that the provider has not answered yet."""
        return [call for call in self.calls if call.ended is None]

    def busiest(self, *, least: int = 1) -> str:
        """The payer of most calls that are in flight now; empty when nobody has ``least``.

        Passes over who hears something for the fourth time: what ends its process that often is put aside, as R4 says.
        """
        in_flight, made = self.in_flight(), Counter(call.sha256 for call in self.calls)
        suspected = {call.payer for call in in_flight if made[call.sha256] > 3}
        payers = Counter(call.payer for call in in_flight if call.payer not in suspected)
        return max((payer for payer, calls in payers.items() if calls >= least), key=payers.__getitem__, default="")

    def taken_over(self, lives: Iterable[Life]) -> list[float]:
        """Seconds from a payer's death in mid-call to the next call for the same audio."""
        waits = []
        for made in paid_twice(self.calls).values():
            calls = sorted(made, key=lambda call: call.started)
            for call, following in pairwise(calls):
                died = [one.told_at for one in lives if one.member == call.payer and one.told_at is not None]
                moments = [at for at in died if call.started <= at < following.started]
                waits += [following.started - max(moments)] if moments else []
        return waits

    def statuses(self) -> Counter[str]:
        """How many of the trial's jobs are in each status now."""
        jobs = asyncio.run(statuses_in(self.fleet.dsn))
        return Counter(status for job, status in jobs.items() if job not in self._before)

    def ended(self) -> int:
        """How many of the trial's jobs have ended."""
        return sum(number for status, number in self.statuses().items() if status in ENDED)

    def wait_ended(self, load: Load, *, seconds: float) -> None:
        """Wait until all submits are accepted and as many jobs have ended; for `judge`, who has not is a finding."""
        load.wait(seconds=seconds)
        deadline = time.monotonic() + seconds
        while self.ended() < load.jobs and time.monotonic() < deadline:
            time.sleep(0.5)

    def judge(self, tally: Tally, load: Load, *, seconds: float = 60.0) -> History:
        """Collect the history, write what follows from it into the tally, and insist that nothing was found.

        What is allowed: an event or a webhook that comes again as it was, and a call that is paid again because its
        payer was killed before the result was stored.
        """
        accepted = load.wait(seconds=seconds)

        deadline = time.monotonic() + seconds
        while True:
            hooks = list(self._receiver.received)
            kafka, dsn = self.fleet.kafka, self.fleet.dsn
            history = asyncio.run(observe(kafka, dsn, accepted, hooks, before=self._before, calls=self.calls))
            found = check(history)
            # The last are still on their way to the receiver; what stays away until then is a finding.
            if not (found.unannounced or found.undelivered) or time.monotonic() > deadline:
                return judged(tally, load, history, self.lives)
            time.sleep(1.0)


def judged(tally: Tally, load: Load, history: History, lives: list[Life]) -> History:
    """Write what follows from a history into the tally, and insist that nothing was found."""
    found = check(history)
    twice = paid_twice(history.calls)
    deaths = [
        Death(life.member, life.started, life.told_at)
        for life in lives
        if life.told is signal.SIGKILL and life.told_at is not None
    ]
    rows, heard = billed_milliseconds(history)
    tally.redelivered += history.redelivered()
    tally.lost += found.missing
    tally.duplicated += found.doubled
    tally.paid_twice += sum(len(calls) - 1 for calls in twice.values())
    tally.figures |= {"jobs": load.jobs, "segments": len({call.sha256 for call in history.calls})}
    assert found.clean, found
    assert len(set(history.accepted)) == load.jobs
    why_failed = {str(event.job_id): event.error for event in history.events(JobFailed)}
    assert Counter(history.rows.values()) == {"completed": load.jobs}, why_failed
    assert rows == heard, f"billed {rows} ms, heard {heard} ms"
    assert not (why := unexplained(history.calls, deaths)), f"paid twice, though nobody was killed in mid-call: {why}"
    return history
