"""Clients that submit recordings, and repeat under its key what a gateway that was killed did not answer."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire.errors import Problem, Unreachable
from support.tones import recording
from support.waiting import until

_GIVE_UP = 300.0


@dataclass(frozen=True)
class Accepted:
    """A submit that was answered 202; ``began`` and ``ended`` (``time.time()``) are the client's."""

    key: str
    job_id: str
    began: float
    ended: float


class Load:
    """Submits recordings that all differ, from some clients at once; a context manager that waits for them.

    Parameters
    ----------
    gateways
        The addresses there are at a moment; who finds one gone tries any of them.
    operator_key
        The key that lets in.
    folder
        Where recordings are made, and removed when they were accepted.
    name
        Begins every Idempotency-Key; no two loads of one database may share it.
    jobs
        How many, at most where `enough` ends it sooner.
    seed
        Where the recordings' chance begins.
    bursts
        Tones in each recording: as many segments where these are short.
    every
        Seconds between two submits of all clients together; 0 is as fast as they go.
    clients
        How many submit at once.
    room
        Asked before each submit whether it may begin; a load that waits for earlier jobs never piles up.
    """

    def __init__(
        self,
        gateways: Callable[[], Sequence[str]],
        operator_key: str,
        folder: Path,
        *,
        name: str,
        jobs: int,
        seed: int,
        bursts: int = 2,
        every: float = 0.0,
        clients: int = 8,
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.accepted: list[Accepted] = []
        self.jobs = jobs
        self._gateways = gateways
        self._key = operator_key
        self._folder = folder
        self._name = name
        self._seed = seed
        self._bursts = bursts
        self._every = every
        self._room = room
        self._began = 0.0
        self._stopping = False
        self._clients = threading.local()
        self._pool = ThreadPoolExecutor(clients, thread_name_prefix=name)
        self._submits: list[Future[bool]] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._submits = [self._pool.submit(self._one, number) for number in range(self.jobs)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what has not begun is left out when something failed."""
        self._stopping = True
        self._pool.shutdown(cancel_futures=kind is not None)

    @property
    def ids(self) -> list[str]:
        """Ids of the jobs that were accepted."""
        return [one.job_id for one in list(self.accepted)]

    @property
    def done(self) -> bool:
        """Whether every submit was answered."""
        return all(submit.done() for submit in self._submits)

    def wait(self, *, seconds: float) -> list[str]:
        """Wait until every submit was accepted; their ids."""
        until(lambda: self.done, seconds=seconds, why=f"all {self.jobs} submits are answered")
        for submit in self._submits:
            submit.result()
        return self.ids

    def enough(self) -> None:
        """Begin no more submits; ``jobs`` is then how many there were."""
        self._stopping = True
        begun = [submit for submit in self._submits if not submit.cancel()]
        wait(begun)
        self._submits = [submit for submit in begun if submit.result()]
        self.jobs = len(self._submits)

    def under_way(self, at: float) -> int:
        """How many submits a moment (``time.time()``) fell into."""
        return sum(one.began <= at <= one.ended for one in self.accepted)

    def _one(self, number: int) -> bool:
        """Submit one; whether it was begun before there were enough."""
        while (early := self._began + number * self._every - time.monotonic()) > 0 and not self._stopping:
            time.sleep(min(early, 0.5))
        while not self._stopping and not self._room():
            time.sleep(0.1)
        if self._stopping:
            return False
        file = self._folder / f"{self._name}-{number}.wav"
        file.write_bytes(recording(self._seed * 100_000 + number, bursts=self._bursts))
        key = file.stem
        options = {"priority": "bulk" if number % 3 == 0 else "interactive"}
        began, chance = time.time(), random.Random(f"{self._seed} {key}")
        while True:
            gateway = chance.choice(self._gateways())
            try:
                job = self._client(gateway).submit(file, options, idempotency_key=key)
            except (Unreachable, Problem) as error:
                refused = isinstance(error, Problem) and error.status not in {429, 503}
                if refused or time.time() > began + _GIVE_UP:
                    raise
                time.sleep(chance.uniform(0.05, 0.25))
            else:
                break
        self.accepted.append(Accepted(key, str(job["id"]), began, time.time()))
        file.unlink()
        return True

    def _client(self, gateway: str) -> Client:
        """This thread's client of a gateway; it leaves the retries to us, who try sooner and elsewhere."""
        known: dict[str, Client] = self._clients.__dict__
        if gateway not in known:
            known[gateway] = Client(Gateway(gateway, self._key), patience=0)
        return known[gateway]
