"""The same again: the results of an earlier job, copied under this job's names instead of worked for."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from pydantic import ValidationError

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import BlobNotFound, Blobs, read_all
from common.completed import transcript_completed, translation_completed
from common.events import Event, UploadReceived
from common.manifest import Manifest
from common.options import JobOptions
from common.outline import Outline
from common.stored_audio import Facts, StoredAudio, without_stored
from common.transcript import Translation

log = structlog.get_logger(__name__)


async def copied(blobs: Blobs, event: UploadReceived) -> Manifest | None:
    """Store the results of the job that `UploadReceived.same_as` names once more, as this job's own.

    Returns
    -------
    Manifest or None
        The manifest of the copy, which is for the caller to store: until it is, the job counts as not begun, and doing
        all this again changes nothing. None when there is nothing to copy, or not all of it is there any more.
        Audio that this job wants stored is in its ``media`` only if the other job had it in the same format.
    """
    source, owner = event.same_as, event.owner
    if source is None:
        return None
    try:
        manifest = Manifest.model_validate_json(await read_all(blobs, layout.manifest(owner, source)))
        transcript = await read_all(blobs, layout.transcript(owner, source))
        translations = {
            language: await asyncio.to_thread(
                _unbilled, await read_all(blobs, layout.translation(owner, source, language))
            )
            for language in _languages(event.options)
        }
    except (BlobNotFound, ValidationError) as error:
        log.info("not copied", job_id=str(event.job_id), source=str(source), reason=type(error).__name__)
        return None
    await blobs.write(layout.transcript(owner, event.job_id), transcript)
    for language, translation in translations.items():
        await blobs.write(layout.translation(owner, event.job_id, language), translation)
    media = {**without_stored(manifest.media), **await _audio(blobs, event, source, manifest.media)}
    return manifest.model_copy(update={"options": event.options, "copied_from": source, "media": media})


async def _audio(blobs: Blobs, event: UploadReceived, source: UUID, media: Facts) -> Facts:
    """Store the other job's audio as this one's, where it is what is asked for; what there is to tell of it."""
    stored, asked = StoredAudio.among(media), event.options.audio_format
    if asked is None or stored is None or stored.format != asked:
        return {}
    ending = AUDIO_FORMATS[asked].ending
    theirs = layout.stored_audio(event.owner, source, ending)
    try:
        await blobs.write(layout.stored_audio(event.owner, event.job_id, ending), blobs.read(theirs))
    except BlobNotFound:
        return {}
    return stored.facts()


async def completed(blobs: Blobs, event: UploadReceived, manifest: Manifest) -> list[Event]:
    """Tell of copied results; nothing was billed, so no usage is told of. Raises `BlobNotFound` when they are gone."""
    raw = await read_all(blobs, layout.transcript(event.owner, event.job_id))
    languages = _languages(manifest.options)
    told: list[Event] = [
        transcript_completed(
            event,
            # Hours of speech are read beside the event loop: it must keep its heartbeats.
            await asyncio.to_thread(Outline.of_stored, raw),
            segments=len(manifest.pieces),
            translations=languages,
            reused_from=manifest.copied_from,
        )
    ]
    for language in languages:
        raw = await read_all(blobs, layout.translation(event.owner, event.job_id, language))
        translation = await asyncio.to_thread(Translation.model_validate_json, raw)
        told.append(translation_completed(event, language, translation))
    return told


def _languages(options: JobOptions) -> Sequence[str]:
    return tuple(dict.fromkeys(options.translate))


def _unbilled(raw: bytes) -> bytes:
    """A translation without its bill, which somebody who found it under this job's name would present once more."""
    return Translation.model_validate_json(raw).model_copy(update={"billed": None}).model_dump_json().encode()
