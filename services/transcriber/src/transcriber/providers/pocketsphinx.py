"""pocketsphinx: offline English in worker processes, so that the event loop is never blocked."""

import asyncio
from pathlib import Path

from common.engines import POCKETSPHINX, Engine
from common.errors import Permanent, Transient
from common.options import JobOptions
from common.transcript import Word
from transcriber.providers import Heard
from transcriber.providers.workers import WorkerLost, Workers

WORKER = "transcriber.providers.pocketsphinx_worker"


class Pocketsphinx:
    """The offline recogniser; use it as an async context manager, which ends its workers.

    Parameters
    ----------
    workers
        How many pieces are recognised at once.
    pace
        Seconds a second of audio may take before the worker counts as hung; it usually takes a tenth.
    grace
        Seconds granted on top of that.
    module
        The worker's program.
    warm
        Start the workers at once instead of with the first request.
    """

    engine: Engine = POCKETSPHINX

    def __init__(
        self, *, workers: int, pace: float = 10.0, grace: float = 60.0, module: str = WORKER, warm: bool = False
    ) -> None:
        self._workers = Workers(module, size=workers)
        self._pace = pace
        self._grace = grace
        self._warm = warm
        self._warming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Pocketsphinx":
        if self._warm:
            self._warming = asyncio.create_task(self._workers.warm())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        await self._workers.stop()

    async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
        """Recognise a WAV file; see `transcriber.providers.Recogniser`."""
        limit = self._grace + self._pace * duration
        try:
            answer = await self._workers.ask({"audio": str(audio)}, limit=limit)
        except WorkerLost as lost:
            msg = "The offline recogniser broke off; it is started afresh."
            raise Transient(msg, code="recogniser_lost") from lost
        if "unreadable" in answer:
            raise OSError(answer["unreadable"])
        if "error" in answer:
            raise Permanent("audio_refused", f"The offline recogniser cannot read the audio: {answer['error']}")
        words = tuple(Word(word=w, start=start, end=end, confidence=p) for w, start, end, p in answer["words"])
        text = " ".join(w.word for w in words)
        return Heard(text=text, model=self.engine.models[0].name, endpoint="local", seconds=duration, words=words)
