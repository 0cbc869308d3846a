"""What was said, read from the transcripts that events point to."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError

from common.blobs import BlobNotFound, Blobs, BlobsUnavailable
from common.errors import Transient
from common.events import TranscriptCompleted
from common.spoken_part import read_spoken
from common.transcript import Utterance

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_IN_A_THREAD = 256 * 1024
"""Bytes from which on a transcript is parsed beside the event loop."""


class _Said(BaseModel):
    """The one field of a transcript that becomes rows."""

    utterances: tuple[Utterance, ...] = ()


class Spoken:
    """Reads utterances; a transcript that is gone or unreadable has none.

    Parameters
    ----------
    blobs
        Where transcripts are.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def of(self, events: Sequence[TranscriptCompleted]) -> dict[UUID, tuple[Utterance, ...]]:
        """The utterances of each event's job, in order.

        Raises
        ------
        Transient
            The blob store is down.
        """
        slots = asyncio.Semaphore(_AT_ONCE)

        async def read(event: TranscriptCompleted) -> tuple[Utterance, ...]:
            async with slots:
                return await self._read(event)

        said = await asyncio.gather(*(read(event) for event in events))
        return {event.job_id: utterances for event, utterances in zip(events, said, strict=True)}

    async def _read(self, event: TranscriptCompleted) -> tuple[Utterance, ...]:
        try:
            raw = await read_spoken(self._blobs, event.transcript.name)
            if len(raw) < _IN_A_THREAD:
                return _Said.model_validate_json(raw).utterances
            return (await asyncio.to_thread(_Said.model_validate_json, raw)).utterances
        except BlobsUnavailable as error:
            msg = "the blob store is away"
            raise Transient(msg) from error
        except BlobNotFound:
            log.info("the transcript is gone", job_id=str(event.job_id))
        except (ValidationError, ValueError):
            # The transcript is the job's result whether or not it can be searched.
            log.exception("the transcript cannot be read", job_id=str(event.job_id))
        return ()
