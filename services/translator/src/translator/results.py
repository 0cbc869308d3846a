"""Translations as they are stored: the whole, and the parts of a long one."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from common.blobs import BlobNotFound, Blobs, BlobsUnavailable, read_all
from common.blobs.away import store_away
from common.blobs.patient import PAUSES, write_patiently
from common.events import now
from common.spoken_part import read_spoken
from common.transcript import Transcript

M = TypeVar("M", bound=BaseModel)


class Part(BaseModel):
    """One call's answer; ``source`` is the hash of what was asked, so that a part is never used for something else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    texts: tuple[str, ...]
    input_tokens: int = 0
    output_tokens: int = 0


def fingerprint(*asked: str) -> str:
    """Hash of what a call asks for."""
    return sha256("\0".join(asked).encode()).hexdigest()


class Results:
    """Reads and writes results; the store being away is `Transient`.

    Parameters
    ----------
    blobs
        Where they are.
    store_again
        Seconds to wait between attempts to store a result that was paid for.
    """

    def __init__(self, blobs: Blobs, *, store_again: Sequence[float] = PAUSES) -> None:
        self._blobs = blobs
        self._store_again = store_again

    async def find(self, name: str, model: type[M]) -> M | None:
        """A stored result, or None when there is none."""
        return await _parsed(read_all(self._blobs, name), model)

    async def transcript(self, name: str) -> Transcript | None:
        """A stored transcript without its words, or None when there is none."""
        return await _parsed(read_spoken(self._blobs, name), Transcript)

    async def keep(self, name: str, result: M) -> M:
        """Store a result unless one is there; return the one that is there now."""
        try:
            data = result.model_dump_json().encode()
            if await write_patiently(self._blobs, name, data, pauses=self._store_again):
                return result
        except BlobsUnavailable as error:
            raise store_away() from error
        return await self.find(name, type(result)) or result

    async def when(self, name: str) -> datetime:
        """When a result was stored, so that telling of it again says the same time."""
        try:
            info = await self._blobs.stat(name)
        except BlobsUnavailable as error:
            raise store_away() from error
        return info.modified if info else now()


async def _parsed(reading: Awaitable[bytes], model: type[M]) -> M | None:
    try:
        return model.model_validate_json(await reading)
    except BlobNotFound:
        return None
    except BlobsUnavailable as error:
        raise store_away() from error
