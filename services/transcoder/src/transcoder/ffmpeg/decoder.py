"""Implements the decoder port: builds ffmpeg's command line and follows the run."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import structlog

from common.errors import Permanent, Transient
from transcoder.ffmpeg.allowed import CODECS, CONTAINERS
from transcoder.ffmpeg.causes import ENCRYPTED
from transcoder.ffmpeg.confine import READ_BYTES, Limits, confined
from transcoder.ffmpeg.encrypted import is_encrypted_mp4
from transcoder.ffmpeg.endless import is_endless_wav
from transcoder.ffmpeg.report import Report
from transcoder.ports import RATE, SAMPLE_BYTES, Media
from transcoder.settings import TranscoderSettings

_Got = TypeVar("_Got")

_log = structlog.get_logger(__name__)


_NOT_RUN = {126, 127}
"""Exit statuses by which the shell says that a program may not be run, or is not there."""

_KEEP_TIME = (
    # The time of each sample is its time in the recording: a late start and gaps (a paused call sends no packets)
    # become silence, so subtitles fit the picture. Nothing is ever dropped: where times run backwards they go on from
    # the sample before, and a leap of more than ten minutes is a wrong clock, not a pause.
    "asetpts='st(1,if(gt((PTS-ld(0))*TB,600),ld(0),max(PTS,ld(0)))); st(0,ld(1)+S/SR/TB); ld(1)',"
    f"aresample={RATE}:async=1:first_pts=0"
)


@dataclass(frozen=True)
class _Abilities:
    by_descriptor: bool
    uid: int | None


class FfmpegDecoder:
    """Implements `transcoder.ports.Decoder`; make one with `FfmpegDecoder.detect`."""

    def __init__(self, settings: TranscoderSettings, abilities: _Abilities) -> None:
        self._settings = settings
        self._abilities = abilities
        # Darwin does not know a limit on address space.
        memory = settings.decoder_memory_mib if sys.platform == "linux" else None
        self._limits = Limits(settings.decoder_cpu_seconds, memory)

    @classmethod
    async def detect(cls, settings: TranscoderSettings) -> Self:
        """Find out once what the ffmpeg at hand can do.

        As root it runs as another user if that user may execute it. Without the ``fd:`` protocol (before ffmpeg 6) the
        file is opened again through ``/dev/fd``: that keeps seeking, which a pipe would not and an MP4 with its index
        at the end needs, but takes the ``file:`` protocol and our own user.

        Raises
        ------
        OSError
            When there is no such program.
        """
        uid = settings.decoder_uid if os.geteuid() == 0 else None
        try:
            protocols = await _protocols(settings, uid)
        except PermissionError:
            _log.warning("decoder runs as root: its user may not execute it", program=settings.ffmpeg.name)
            uid, protocols = None, await _protocols(settings, None)
        by_descriptor = "fd" in protocols
        return cls(settings, _Abilities(by_descriptor, uid if by_descriptor else None))

    @asynccontextmanager
    async def open(self, source: Path) -> AsyncIterator["FfmpegDecoding"]:
        """Begin to decode a local file; see `transcoder.ports.Decoder`."""
        size, encrypted, endless = await asyncio.to_thread(
            lambda: (source.stat().st_size, is_encrypted_mp4(source), is_endless_wav(source))
        )
        if not size:
            raise Permanent("empty", "The file is empty: it has no bytes.")
        if encrypted:
            raise ENCRYPTED.permanent()
        fd = os.open(source, os.O_RDONLY)
        try:
            async with confined(self._command(fd), self._limits, keep=(fd,), uid=self._abilities.uid) as process:
                decoding = FfmpegDecoding(process, self._settings, endless=endless)
                try:
                    await decoding.begin()
                    yield decoding
                finally:
                    await decoding.stop()
        finally:
            os.close(fd)

    def _command(self, fd: int) -> list[str]:
        by_descriptor = self._abilities.by_descriptor
        return [
            str(self._settings.ffmpeg), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info",
            "-threads", "1", "-filter_threads", "1", "-max_error_rate", "1",
            "-protocol_whitelist", "fd" if by_descriptor else "file",
            "-format_whitelist", ",".join(CONTAINERS), "-codec_whitelist", ",".join(CODECS),
            "-max_streams", "64", "-probesize", "5000000", "-analyzeduration", "10000000",
            *(("-fd", str(fd), "-i", "fd:") if by_descriptor else ("-i", f"/dev/fd/{fd}")),
            "-map", "0:a:0", "-vn", "-sn", "-dn", "-t", str(self._settings.max_audio_seconds + 1),
            "-af", _KEEP_TIME, "-ac", "1", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1",
        ]  # fmt: skip


class FfmpegDecoding:
    """Implements `transcoder.ports.Decoding` on a running ffmpeg."""

    def __init__(self, process: Process, settings: TranscoderSettings, *, endless: bool) -> None:
        self._process = process
        self._endless = endless
        self._settings = settings
        self._report = Report()
        self._bytes = 0
        self._announced = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())
        self._patience = settings.decoder_wall_seconds

    @property
    def media(self) -> Media:
        """What the file is."""
        return self._report.media or Media("unknown", "unknown", 0, 0)

    @property
    def damaged(self) -> bool:
        """After the last sample: whether some of the file could not be read."""
        return self._report.ends_early and not self._endless

    async def begin(self) -> None:
        """Wait until ffmpeg has said what the file is."""
        await self._patiently(self._announced.wait())
        if self._report.fatal is not None:
            raise self._report.fatal.permanent()
        if self._report.media is None and not self._report.announced:
            raise self._report.refusal(await self._ended())

    async def pcm(self) -> AsyncIterator[bytes]:
        """Iterate once over the audio; see `transcoder.ports.Decoding`."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        while chunk := await self._patiently(self._process.stdout.read(READ_BYTES)):
            self._bytes += len(chunk)
            if self._seconds > self._settings.max_audio_seconds:
                hours = self._settings.max_audio_seconds / 3600
                raise Permanent(
                    "too_long", f"The file has more than {hours:g} hours of audio. Split it and send the parts."
                )
            yield chunk
        returncode = await self._ended()
        if self._report.fatal is not None:
            raise self._report.fatal.permanent()
        if not self._bytes:
            raise self._report.refusal(returncode)
        if self._breaks_off(returncode):
            raise Permanent(
                "truncated",
                f"The file breaks off after {self._seconds:.1f} seconds: the upload or recording was cut off. "
                "Send the whole file.",
            )

    async def stop(self) -> None:
        """Stop listening to the process."""
        self._listening.cancel()
        await asyncio.wait({self._listening})
        if not self._listening.cancelled() and (error := self._listening.exception()):
            raise error

    def _breaks_off(self, returncode: int) -> bool:
        """Whether the decoder failed, or gave less than the file announces, or missed the end of one that does not."""
        announced = 0.0 if self.media.estimated else self.media.duration or 0.0
        missed = self._report.ends_early and not announced and not self._endless
        return returncode != 0 or missed or self._seconds < announced * 0.98 - 1.0

    @property
    def _seconds(self) -> float:
        return self._bytes / (RATE * SAMPLE_BYTES)

    async def _ended(self) -> int:
        """Wait for the end of the process and of what it writes; return its exit status."""
        returncode = await self._patiently(self._process.wait())
        await self._patiently(self._listening)
        if returncode == -signal.SIGKILL or self._report.stopped_by not in {None, signal.SIGXCPU}:
            raise Transient("The decoder was stopped from outside.", code="decoder_killed")
        if returncode in _NOT_RUN:
            raise Transient("The decoder cannot be started.", code="decoder_unavailable")
        return returncode

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - a pipe was asked for
        try:
            while raw := await self._process.stderr.read(READ_BYTES):
                self._report.feed(raw)
                if self._report.announced:
                    self._announced.set()
        finally:
            self._announced.set()

    async def _patiently(self, step: Awaitable[_Got]) -> _Got:
        """Wait for the decoder, but not for ever; only waiting counts, not what is done with its audio meanwhile."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(min(self._settings.decoder_stall_seconds, self._patience)):
                return await step
        except TimeoutError:
            raise Permanent(
                "decoder_limits", "Decoding the file takes longer than is allowed. Convert it to WAV, FLAC or MP3."
            ) from None
        finally:
            self._patience -= clock() - began


async def _protocols(settings: TranscoderSettings, uid: int | None) -> set[str]:
    limits = Limits(cpu_seconds=10, memory_mib=settings.decoder_memory_mib if sys.platform == "linux" else None)
    async with confined([str(settings.ffmpeg), "-hide_banner", "-protocols"], limits, uid=uid) as process:
        output, _ = await process.communicate()
    if process.returncode in _NOT_RUN:
        kind = PermissionError if process.returncode == 126 else FileNotFoundError
        msg = f"{settings.ffmpeg.name} cannot be run: set SCRIBEWIRE_FFMPEG to an ffmpeg program"
        raise kind(msg)
    return set(output.decode(errors="replace").split())
