"""Implements the decoder port: has a fresh worker decode each file, and follows it under limits of time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from common.errors import Permanent, Transient
from transcoder.causes import CAUSES
from transcoder.ffmpeg.encrypted import is_encrypted_mp4
from transcoder.ffmpeg.endless import is_endless_wav
from transcoder.ffmpeg.report import Report
from transcoder.ffmpeg.workers import Worker, Workers
from transcoder.ports import RATE, SAMPLE_BYTES, Keeping, Media
from transcoder.settings import TranscoderSettings
from transcoder.worker.child import Order
from transcoder.worker.sandbox import Limits
from transcoder.worker.wire import AUDIO, PCM, PLACE, READY, Ready

_Got = TypeVar("_Got")

_log = structlog.get_logger(__name__)

_READY = TypeAdapter(Ready)
_READY_SECONDS = 20.0
_LATE_SECONDS = 5.0
"""A time-out that is noticed later than this says that this process stood still, not that the decoder hung."""

_KILLED = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGQUIT}


class FfmpegDecoder:
    """Implements `transcoder.ports.Decoder`; make one with `FfmpegDecoder.detect`, and close it in the end."""

    def __init__(self, settings: TranscoderSettings) -> None:
        self._settings = settings
        limits = Limits(settings.decoder_cpu_seconds, settings.decoder_memory_mib, settings.decoder_uid)
        self._workers = Workers(Order(limits, settings.max_audio_seconds + 1))
        self.held: tuple[str, ...] = ()
        """Layers of the workers' sandbox that this system has."""
        self.missing: tuple[str, ...] = ()
        """Those that it does not have."""

    @classmethod
    async def detect(cls, settings: TranscoderSettings) -> Self:
        """Start the process that forks workers and find out once which layers of the sandbox hold here.

        Raises
        ------
        OSError
            When no worker can be started.
        """
        decoder = cls(settings)
        try:
            async with decoder._workers.worker(Path(os.devnull)) as worker:
                ready = await _ready(worker)
        except Transient as error:
            decoder.close()
            raise OSError(error.message) from error
        decoder.held, decoder.missing = tuple(ready.held), tuple(ready.missing)
        if decoder.missing:
            _log.warning("this system shuts the decoder in less", missing=decoder.missing, held=decoder.held)
        else:
            _log.info("the decoder is shut in", held=decoder.held)
        return decoder

    def close(self) -> None:
        """End all workers; files that are being decoded fail as `Transient`."""
        self._workers.close()

    @asynccontextmanager
    async def open(self, source: Path, keeping: Keeping | None = None) -> AsyncIterator["FfmpegDecoding"]:
        """Begin to decode a local file; see `transcoder.ports.Decoder`."""
        size, encrypted, endless = await asyncio.to_thread(
            lambda: (source.stat().st_size, is_encrypted_mp4(source), is_endless_wav(source))
        )
        if not size:
            raise Permanent("empty", "The file is empty: it has no bytes.")
        if encrypted:
            raise CAUSES["protected"].permanent()
        async with self._workers.worker(source, None if keeping is None else keeping.name) as worker:
            await _ready(worker)
            decoding = FfmpegDecoding(worker, self._settings, endless=endless, keeping=keeping)
            await decoding.begin()
            yield decoding


class FfmpegDecoding:
    """Implements `transcoder.ports.Decoding` on a running worker."""

    def __init__(
        self, worker: Worker, settings: TranscoderSettings, *, endless: bool, keeping: Keeping | None = None
    ) -> None:
        self._worker = worker
        self._keeping = keeping
        self._endless = endless
        self._settings = settings
        self._report = Report()
        self._bytes = 0
        self._patience = settings.decoder_wall_seconds

    @property
    def media(self) -> Media:
        """What the file is; after the last sample also how loud."""
        return self._report.media or Media("unknown", "unknown", 0, 0)

    @property
    def damaged(self) -> bool:
        """After the last sample: whether some of the file could not be read."""
        return self._report.ends_early and not self._endless

    async def begin(self) -> None:
        """Wait until the worker has said what the file is."""
        await self._hear()
        if self._report.media is None:
            status = await self._ended()
            raise self._report.refusal(status)

    async def pcm(self) -> AsyncIterator[bytes]:
        """Iterate once over the audio; see `transcoder.ports.Decoding`."""
        while chunk := await self._hear():
            self._bytes += len(chunk)
            if self._seconds > self._settings.max_audio_seconds:
                hours = self._settings.max_audio_seconds / 3600
                raise Permanent(
                    "too_long", f"The file has more than {hours:g} hours of audio. Split it and send the parts."
                )
            yield chunk
        status = await self._ended()
        if not self._bytes:
            raise self._report.refusal(status)
        if self._breaks_off(status):
            raise Permanent(
                "truncated",
                f"The file breaks off after {self._seconds:.1f} seconds: the upload or recording was cut off. "
                "Send the whole file.",
            )
        if self._keeping is not None:
            channels, rate = self._report.kept
            self._keeping.written(channels=channels, sample_rate=rate)

    async def _hear(self) -> bytes:
        """Wait for the next samples; no bytes when other words came, or when it has ended.

        What comes to be kept is put there on the way.
        """
        while True:
            try:
                message = await self._patiently(self._worker.hear())
            except ValueError:
                message = None
            if message is None:
                return b""
            kind, payload = message
            if kind == PCM:
                return payload
            if kind != AUDIO:
                self._report.take(kind, payload)
                return b""
            if self._keeping is None or len(payload) < PLACE.size:
                return b""
            await self._keeping.take(PLACE.unpack_from(payload)[0], payload[PLACE.size :])

    def _breaks_off(self, status: int) -> bool:
        """Whether the worker failed, or gave less than the file announces, or missed the end of one that does not."""
        announced = 0.0 if self.media.estimated else self.media.duration or 0.0
        missed = self._report.ends_early and not announced and not self._endless
        return status != 0 or not self._report.whole or missed or self._seconds < announced * 0.98 - 1.0

    @property
    def _seconds(self) -> float:
        return self._bytes / (RATE * SAMPLE_BYTES)

    async def _ended(self) -> int:
        """Wait for the end of the worker; return its exit status."""
        status = await self._patiently(self._worker.ended())
        if status is None or status in _KILLED:
            raise Transient("The decoder was stopped from outside.", code="decoder_killed")
        if (fatal := self._report.fatal(status)) is not None:
            raise fatal.permanent()
        return status

    async def _patiently(self, step: Awaitable[_Got]) -> _Got:
        """Wait for the decoder, but not for ever; only waiting counts, not what is done with its audio meanwhile."""
        clock = asyncio.get_running_loop().time
        began = clock()
        allowed = min(self._settings.decoder_stall_seconds, self._patience)
        try:
            async with asyncio.timeout(allowed):
                return await step
        except TimeoutError:
            if clock() - began > allowed + _LATE_SECONDS:
                raise Transient("Decoding was interrupted.", code="decoder_interrupted") from None
            raise Permanent(
                "decoder_limits", "Decoding the file takes longer than is allowed. Convert it to WAV, FLAC or MP3."
            ) from None
        finally:
            self._patience -= clock() - began


async def _ready(worker: Worker) -> Ready:
    """Wait for a worker's first word; it has not touched its file by then."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            message = await worker.hear()
        if message is not None and message[0] == READY:
            return _READY.validate_json(message[1])
    except (TimeoutError, ValueError, ValidationError):
        pass
    raise Transient("The decoder cannot be started.", code="decoder_unavailable")
