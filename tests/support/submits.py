"""A client under faults: it submits at a rate, repeats under its key what was not accepted, and notes every answer."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from support.tones import recording

_GONE_SECONDS = 0.3
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Attempt:
    """One request; ``status`` is None when no answer came. Times are ``time.time()``."""

    key: str
    began: float
    ended: float
    status: int | None
    retry_after: float | None = None
    job: str | None = None
    said: str = ""


@dataclass
class Submits:
    """Submits recordings that all differ; use `run`.

    Parameters
    ----------
    url, operator_key
        The gateway, and what lets in.
    name
        Begins every Idempotency-Key; no two of one database may share it.
    seed
        Where the recordings' chance begins.
    translate
        Every so manieth job is translated as well; 0 for none.
    """

    url: str
    operator_key: str
    name: str
    seed: int
    translate: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    """The job of each key that was answered 202."""

    async def run(self, jobs: int, *, every: float = 0.0, more: Callable[[], bool] = lambda: False) -> None:
        """Submit recordings, one ``every`` so many seconds, and return when all were accepted.

        There are ``jobs`` of them, and further ones as long as ``more`` says so.
        """
        async with self._session() as http, asyncio.TaskGroup() as group:
            number = 0
            while number < jobs or more():
                group.create_task(self._until_accepted(http, number))
                number += 1
                await asyncio.sleep(every)

    async def again(self, keys: Sequence[str]) -> list[Attempt]:
        """Send what was accepted once more, each under its key; the answers."""
        async with self._session() as http:
            return [await self._once(http, key, self._body(key)) for key in keys]

    def answers(self, status: int) -> list[Attempt]:
        """The attempts that were answered so."""
        return [attempt for attempt in self.attempts if attempt.status == status]

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self.url,
            headers={"Authorization": f"Bearer {self.operator_key}"},
            timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )

    def _body(self, key: str) -> bytes:
        number = int(key.rpartition("-")[2])
        return recording(self.seed * 1_000_000 + number, bursts=1, sound=0.3, pause=0.1)

    async def _until_accepted(self, http: aiohttp.ClientSession, number: int) -> None:
        key = f"{self.name}-{number}"
        body = self._body(key)
        while True:
            attempt = await self._once(http, key, body)
            self.attempts.append(attempt)
            if attempt.job is not None:
                self.accepted[key] = attempt.job
                return
            assert attempt.status in {None, 503}, f"{key}: {attempt.status} {attempt.said}"
            await asyncio.sleep(attempt.retry_after or _GONE_SECONDS)

    async def _once(self, http: aiohttp.ClientSession, key: str, body: bytes) -> Attempt:
        number = int(key.rpartition("-")[2])
        params = {"priority": "bulk" if number % 3 == 0 else "interactive", "provider": "deepgram"}
        if self.translate and number % self.translate == 0:
            params |= {"translate": "de", "translator": "openai"}
        began = time.time()
        headers = {"Idempotency-Key": key, "Content-Type": "audio/wav", "X-Filename": f"{key}.wav"}
        try:
            async with http.post("/v1/jobs", data=body, params=params, headers=headers) as answer:
                said = await answer.text()
                after = answer.headers.get("Retry-After")
                job = str((await answer.json())["id"]) if answer.status == 202 else None
        except (aiohttp.ClientError, TimeoutError) as gone:
            return Attempt(key, began, time.time(), None, said=repr(gone))
        return Attempt(key, began, time.time(), answer.status, float(after) if after else None, job, said)
