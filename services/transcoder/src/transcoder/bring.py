"""The bytes of jobs whose source is an address: fetched before a job has its turn at decoding."""

from common.address import Fetched
from common.blobs import BlobNotFound, BlobsUnavailable
from common.blobs.away import store_away
from common.bus import Context
from common.drop import DROPPED
from common.errors import Permanent
from common.events import StageProgress, UploadReceived
from transcoder.ports import Cancelled, Remote


class Bring:
    """Fetches what is not uploaded; the handler of `common.bus.Before` for the transcoder's stage."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def needed(self, event: UploadReceived) -> bool:
        """Whether bytes are still to be had from somebody else's server, however slow that is.

        Raises
        ------
        Transient
            When the store is down.
        """
        # A blob of our own store is copied on the spot: it must not stand behind servers that do not answer.
        if not event.remote or event.source.name.endswith(DROPPED):
            return False
        try:
            return await self._remote.fetched(event) is None
        except (BlobsUnavailable, OSError) as error:
            raise store_away() from error

    async def __call__(self, event: UploadReceived, context: Context) -> None:
        """Fetch the bytes and store them.

        Raises
        ------
        Permanent
            When the file cannot be had from its address; its code and message say why.
        Transient
            When the store is down or full, or the address does not answer for now.
        """
        try:
            await self.brought(event, context)
        except Cancelled:
            return  # The event is dropped when its turn comes.
        except BlobNotFound as error:
            if not context.cancelled():
                raise source_missing() from error
        except (BlobsUnavailable, OSError) as error:
            raise store_away() from error

    async def brought(self, event: UploadReceived, context: Context) -> Fetched:
        """What was fetched before, or is fetched now; raises as `transcoder.ports.Remote.fetch` does."""
        fetched = await self._remote.fetched(event)
        if fetched is not None:
            return fetched
        if context.cancelled():
            raise Cancelled
        await context.publish(StageProgress(**event.job, stage="transcoder", fraction=0.0, detail="Fetching the file"))
        return await self._remote.fetch(event, context.cancelled)


def source_missing() -> Permanent:
    """What was sent, or the address to fetch it from, is gone from the store."""
    return Permanent("source_missing", "The uploaded file is no longer there.")
