"""An upload becomes segments: decode, cut, store each piece, write the manifest, tell of every segment."""

import asyncio
from collections.abc import Callable

from common import layout
from common.blobs import BlobNotFound, Blobs, BlobsUnavailable, read_all
from common.bus import Context, Outputs
from common.errors import Permanent, Transient
from common.events import BlobRef, SegmentReady, StageProgress, UploadReceived
from common.manifest import Manifest, Piece
from transcoder import wav
from transcoder.cut import Cutter
from transcoder.ports import RATE, SAMPLE_BYTES, Decoder, Decoding
from transcoder.spool import Spool

PROGRESS_SECONDS = 1.0
"""Least time between two progress events of a job."""


class _Cancelled(Exception):
    """The job was cancelled while its audio was being decoded."""


class Transcode:
    """The transcoder's one stage: `UploadReceived` to as many `SegmentReady` as the audio has segments.

    Doing it again is harmless: pieces have derived names and are created only if absent, the same bytes are cut in the
    same places, and a job that has its manifest is not decoded again.

    Parameters
    ----------
    blobs
        Where the upload lies and the segments go.
    decoder
        Turns the upload into samples.
    clock
        Seconds, for pacing progress; monotonic.
    """

    def __init__(self, *, blobs: Blobs, decoder: Decoder, clock: Callable[[], float] | None = None) -> None:
        self._blobs = blobs
        self._decoder = decoder
        self._clock = clock or asyncio.get_running_loop().time

    async def __call__(self, event: UploadReceived, context: Context) -> Outputs:
        """See the class. Raises `Permanent` for a file that is no good, `Transient` when the store is down or full."""
        name = layout.manifest(event.owner, event.job_id)
        try:
            if await self._blobs.stat(name) is None:
                manifest = await self._transcode(event, context)
                await self._blobs.write(name, manifest.model_dump_json().encode())
            manifest = Manifest.model_validate_json(await read_all(self._blobs, name))
        except _Cancelled:
            await self._discard(event)
            return []
        except Permanent:
            await self._discard(event)
            raise
        except BlobNotFound as error:
            raise Permanent("source_missing", "The uploaded file is no longer there.") from error
        except (BlobsUnavailable, OSError) as error:
            raise Transient("The store is not available.", code="storage_unavailable") from error
        await context.publish(_progress(event, 1.0, manifest))
        return _segments(event, manifest)
