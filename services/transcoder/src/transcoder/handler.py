"""An upload becomes segments: decode, cut, store each piece, write the manifest, tell of every segment."""

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from common import layout
from common.blobs import BlobNotFound, Blobs, BlobsUnavailable, read_all
from common.blobs.away import store_away
from common.bus import Context, Outputs
from common.errors import Permanent
from common.events import BlobRef, SegmentReady, UploadReceived
from common.manifest import Manifest
from common.stored_audio import Facts
from transcoder.again import completed, copied
from transcoder.beside import LARGEST, Beside
from transcoder.bring import Bring, source_missing
from transcoder.cut import Cutter
from transcoder.passages import Unchanged
from transcoder.ports import Cancelled, Decoder, Decoding, Remote
from transcoder.preprocess import Preprocess, options_behind
from transcoder.segments import SegmentWriter, discard
from transcoder.telling import PROGRESS_SECONDS, finished, progress, under_way


class Transcode:
    """The transcoder's one stage: an `UploadReceived` to as many `SegmentReady` as its audio has segments.

    Where an earlier job's results can be copied, it is to the events that tell of finished results instead.

    Doing it again is harmless: segments have derived names and are created only if absent, the same bytes are cut in
    the same places, and a job that has its manifest is not decoded again.

    Parameters
    ----------
    blobs
        Where the upload lies and the segments go.
    decoder
        Turns the upload into samples.
    remote
        Fetches what is not uploaded.
    preprocess
        Opens plug-ins.
    clock
        Monotonic seconds, for pacing progress.
    largest_audio
        Bytes that the audio may have which a job asks for with ``audio_format``.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        decoder: Decoder,
        remote: Remote,
        preprocess: Preprocess | None = None,
        clock: Callable[[], float] = time.monotonic,
        largest_audio: int = LARGEST,
    ) -> None:
        self._blobs = blobs
        self._decoder = decoder
        self._bring = Bring(remote)
        self._preprocess = preprocess or Preprocess()
        self._clock = clock
        self._beside = Beside(blobs=blobs, decoder=decoder, largest=largest_audio, clock=clock)

    async def __call__(self, event: UploadReceived, context: Context) -> Outputs:
        """See the class.

        Raises
        ------
        Permanent
            When the file is no good or cannot be had from its address, or a plug-in failed; its code and message say
            why.
        Transient
            When the store is down or full, the decoder was killed, or the address does not answer for now.
        """
        name = layout.manifest(event.owner, event.job_id)
        try:
            if event.remote:
                event = await self._brought(event, context)
            manifest = await self._stored(event)
            if manifest is None:
                if context.cancelled():
                    return []
                made = await self._made(event, context)
                await self._blobs.write(name, made.model_dump_json().encode())
                # Where another was first, what it stored is what is told of.
                manifest = Manifest.model_validate_json(await read_all(self._blobs, name))
            results = await completed(self._blobs, event, manifest) if manifest.copied_from is not None else None
        except Cancelled:
            return []
        except BlobNotFound as error:
            if context.cancelled():  # erased while it was worked on
                return []
            raise source_missing() from error
        except (BlobsUnavailable, OSError) as error:
            raise store_away() from error
        await context.publish(finished(event, manifest))
        return _segments(event, manifest) if results is None else results

    async def _stored(self, event: UploadReceived) -> Manifest | None:
        """The manifest of the job's segments, which are all stored then."""
        name = layout.manifest(event.owner, event.job_id)
        if await self._blobs.stat(name) is None:
            return None
        return Manifest.model_validate_json(await read_all(self._blobs, name))

    async def _brought(self, event: UploadReceived, context: Context) -> UploadReceived:
        """The event as if the bytes behind its address had been uploaded; they were fetched before, mostly."""
        fetched = await self._bring.brought(event, context)
        source = BlobRef(name=layout.original(event.owner, event.job_id, fetched.sha256), size=fetched.size)
        return event.model_copy(update={"source": source, "sha256": fetched.sha256})

    async def _made(self, event: UploadReceived, context: Context) -> Manifest:
        """The manifest of a copy, or of new work; of a job that will have neither no audio is left."""
        try:
            if (copy := await copied(self._blobs, event)) is not None:
                return await self._beside.added(copy, event, context)
            return await self._transcode(event, context)
        except (Permanent, Cancelled) as ended:
            if isinstance(ended, Permanent) and (done := await self._stored(event)) is not None:
                # This process stood still, another took over and finished: what it told of must stay.
                return done
            with suppress(BlobsUnavailable):
                await discard(self._blobs, event.owner, event.job_id)
            raise

    async def _transcode(self, event: UploadReceived, context: Context) -> Manifest:
        await context.publish(progress(event, 0.0))
        writer = SegmentWriter(self._blobs, event.owner, event.job_id)
        try:
            with self._beside.keeping(event) as kept:
                async with (
                    self._blobs.local(event.source.name) as source,
                    self._decoder.open(source, kept) as decoding,
                    self._preprocess.open(event) as sound,
                ):
                    writer.places = sound.places
                    digest = await self._store(decoding, sound, writer, event, context)
                    stored = await self._beside.store(kept, sound.seconds, event, context)
                    return _manifest(event, decoding, sound, writer, {"audio_sha256": digest, **stored})
        finally:
            writer.close()

    async def _store(
        self, decoding: Decoding, sound: Unchanged, writer: SegmentWriter, event: UploadReceived, context: Context
    ) -> str:
        """Store the audio as segments; return the SHA-256 of its samples, the same for the same recording."""
        cutter = Cutter(event.plan.max_seconds)
        digest = hashlib.sha256()
        told = self._clock()
        async for pcm in decoding.pcm():
            if context.cancelled():
                raise Cancelled
            digest.update(pcm)
            await _add(writer, cutter, sound.feed(pcm))
            if self._clock() - told >= PROGRESS_SECONDS:
                told = self._clock()
                await context.publish(under_way(event, decoding, sound.seconds))
        await _add(writer, cutter, sound.finish())
        for piece, _ in cutter.finish():
            await writer.add(piece)
            await writer.cut()
        if context.cancelled():  # what is erased meanwhile must not come back
            raise Cancelled
        return digest.hexdigest()


async def _add(writer: SegmentWriter, cutter: Cutter, sound: AsyncIterator[bytes]) -> None:
    async for pcm in sound:
        for piece, cut_follows in cutter.feed(pcm):
            await writer.add(piece)
            if cut_follows:
                await writer.cut()


def _manifest(
    event: UploadReceived, decoding: Decoding, sound: Unchanged, writer: SegmentWriter, found: Facts
) -> Manifest:
    media = {**decoding.media.facts(), **found}
    if decoding.damaged:
        media["note"] = "Some of the file is damaged and could not be read"
    return Manifest(
        duration=sound.seconds,
        media=media,
        provider=event.plan.provider,
        options=options_behind(event, sound.outcome),
        pieces=tuple(writer.pieces),
        settings=sound.outcome.settings if sound.outcome is not None else {},
    )


def _segments(event: UploadReceived, manifest: Manifest) -> list[SegmentReady]:
    return [
        SegmentReady(
            **event.job,
            index=piece.index,
            count=len(manifest.pieces),
            start=piece.start,
            end=piece.end,
            audio=BlobRef(name=piece.audio, size=piece.size),
            provider=manifest.provider,
            options=manifest.options,
            places=piece.places,
        )
        for piece in manifest.pieces
    ]
