"""What the transcoder tells of a job while it is at it."""

from typing import TypedDict

from common import layout
from common.events import BlobRef, StageProgress, UploadReceived
from common.manifest import Manifest
from transcoder.ports import Decoding

PROGRESS_SECONDS = 1.0
"""Least time between two progress events of a job, first and last excepted."""


class _Source(TypedDict, total=False):
    source: BlobRef
    sha256: str


def progress(event: UploadReceived, fraction: float) -> StageProgress:
    """A word of how far a job is, as a fraction of its audio."""
    return StageProgress(
        **event.job,
        stage="transcoder",
        fraction=fraction,
        detail="Reading the file",
        **_what_was_fetched(event),
    )


def _what_was_fetched(event: UploadReceived) -> _Source:
    """For the row of a job with an address; told with every word, since any of them may be lost."""
    asked = (layout.address, layout.dropped)
    if not event.remote or event.source.name in {name(event.owner, event.job_id, event.sha256) for name in asked}:
        return {}
    return {"source": event.source, "sha256": event.sha256}


def under_way(event: UploadReceived, decoding: Decoding, seconds: float) -> StageProgress:
    """A word in the middle of decoding, so many seconds of audio from its beginning."""
    announced = decoding.media.duration
    fraction = min(seconds / announced, 0.99) if announced else 0.0
    return progress(event, fraction).model_copy(update={"media": decoding.media.facts(), "duration": announced})


def finished(event: UploadReceived, manifest: Manifest) -> StageProgress:
    """The last word, with what was found."""
    read = "Audio read" if manifest.copied_from is None else "Results of an earlier job copied"
    detail = str(manifest.media.get("note", read))
    update = {"media": manifest.media, "duration": manifest.duration, "detail": detail}
    return progress(event, 1.0).model_copy(update=update)
