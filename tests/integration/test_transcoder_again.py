"""The same again, at the transcoder: an earlier job's results become this job's own, or the work is done."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import BlobsUnavailable, Chunks, Name, read_all
from common.blobs.folder import FolderBlobs
from common.errors import Transient
from common.events import BlobRef, Event, SegmentReady, TranscriptCompleted, TranslationCompleted, UploadReceived
from common.manifest import Manifest, Piece
from common.options import JobOptions, SegmentPlan
from common.stored_audio import StoredAudio
from common.transcript import Billed, Transcript, Translation, Utterance
from support import media
from support.transcoding import OWNER, SHA256, Nowhere, Told
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.handler import Transcode
from transcoder.ports import Decoder, Decoding, Keeping
from transcoder.settings import TranscoderSettings

OPTIONS = JobOptions(translate=("es",))
SAID = Utterance(start=0, end=2, text="good morning")
TRANSCRIPT = Transcript(text="good morning", language="en", duration=2.5, utterances=(SAID,), provider="tested")
SPANISH = Translation(
    text="buenos días",
    language="es",
    source_language="en",
    duration=2.5,
    provider="openai",
    billed=Billed(endpoint="/chat", tokens=12, cost_usd=0.1),
)


class Untouched(Decoder):
    """A decoder that must not be used."""

    def open(self, source: Path, keeping: Keeping | None = None) -> AbstractAsyncContextManager[Decoding]:
        raise AssertionError(source)


class Failing(FolderBlobs):
    """A store that goes away after some writes."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self._left = writes

    async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
        if self._left == 0:
            raise BlobsUnavailable
        self._left -= 1
        return await super().write(name, chunks)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


async def ended(blobs: FolderBlobs, owner: str = OWNER) -> UUID:
    """The stored results of a job that was completed: three segments, a transcript, one translation."""
    job = uuid4()
    pieces = tuple(
        Piece(index=i, start=i, end=i + 1, audio=layout.segment_audio(owner, job, i), size=1) for i in range(3)
    )
    manifest = Manifest(duration=2.5, media={"codec": "flac"}, provider="tested", options=OPTIONS, pieces=pieces)
    await blobs.write(layout.manifest(owner, job), manifest.model_dump_json().encode())
    await blobs.write(layout.transcript(owner, job), TRANSCRIPT.model_dump_json().encode())
    await blobs.write(layout.translation(owner, job, "es"), SPANISH.model_dump_json().encode())
    return job


async def upload(blobs: FolderBlobs, same_as: UUID | None) -> UploadReceived:
    """An upload that may be done by a copy."""
    job = uuid4()
    name = layout.original(OWNER, job, SHA256)
    await blobs.write(name, (media.SAMPLES / "monologue.wav").read_bytes())
    return UploadReceived(
        job_id=job,
        owner=OWNER,
        source=BlobRef(name=name),
        sha256=SHA256,
        options=OPTIONS,
        plan=SegmentPlan(provider="tested"),
        same_as=same_as,
    )


async def outputs(
    blobs: FolderBlobs, event: UploadReceived, *, decoder: Decoder | None = None, context: Told | None = None
) -> Sequence[Event]:
    """What the handler gives."""
    handler = Transcode(blobs=blobs, decoder=decoder or Untouched(), remote=Nowhere())
    return list(await handler(event, context or Told()))


async def worked(blobs: FolderBlobs, event: UploadReceived) -> Sequence[Event]:
    """What the handler gives when it has a decoder."""
    return await outputs(blobs, event, decoder=await FfmpegDecoder.detect(TranscoderSettings()))


async def test_a_copy_is_told_of_as_any_other_result(blobs: FolderBlobs) -> None:
    source = await ended(blobs)
    event = await upload(blobs, source)
    context = Told()
    transcript, translation = await outputs(blobs, event, context=context)
    assert isinstance(transcript, TranscriptCompleted)
    assert (transcript.text, transcript.words, transcript.segments) == ("good morning", 2, 3)
    assert (transcript.translations, transcript.reused_from) == (("es",), source)
    assert isinstance(translation, TranslationCompleted)
    assert (translation.language, translation.text, translation.translator) == ("es", "buenos días", "openai")
    [progress] = context.progress
    assert (progress.fraction, progress.duration, progress.media) == (1.0, 2.5, {"codec": "flac"})
    assert await read_all(blobs, transcript.transcript.name) == TRANSCRIPT.model_dump_json().encode()


async def test_the_copy_outlives_its_source_and_the_source_the_copy(blobs: FolderBlobs) -> None:
    source = await ended(blobs)
    one, other = await upload(blobs, source), await upload(blobs, source)
    told = await outputs(blobs, one)
    await outputs(blobs, other)
    for prefix in layout.job_prefixes(OWNER, other.job_id):
        await blobs.remove(prefix)
    assert await read_all(blobs, layout.transcript(OWNER, source))
    for prefix in layout.job_prefixes(OWNER, source):
        await blobs.remove(prefix)
    assert [again.model_dump(exclude={"time"}) for again in await outputs(blobs, one)] == [
        event.model_dump(exclude={"time"}) for event in told
    ]


async def test_a_copy_of_a_copy_is_a_copy(blobs: FolderBlobs) -> None:
    event = await upload(blobs, await ended(blobs))
    await outputs(blobs, event)
    transcript, _ = await outputs(blobs, await upload(blobs, event.job_id))
    assert isinstance(transcript, TranscriptCompleted)
    assert (transcript.reused_from, transcript.segments) == (event.job_id, 3)


@pytest.mark.parametrize("gone", ["manifest.json", "transcript.json", "translation.es.json"])
async def test_when_something_is_gone_the_work_is_done(blobs: FolderBlobs, tmp_path: Path, gone: str) -> None:
    source = await ended(blobs)
    event = await upload(blobs, source)
    [lost] = [path for path in tmp_path.rglob(gone) if str(source) in str(path)]
    lost.unlink()
    found = await worked(blobs, event)
    assert found
    assert all(isinstance(segment, SegmentReady) for segment in found)
    assert not list(tmp_path.rglob(f"transcripts/{event.job_id}/*"))
    # Once it is being worked for, that goes on, also when the source is there again.
    assert [again.id for again in await outputs(blobs, event)] == [segment.id for segment in found]


async def test_another_owners_results_are_not_there(blobs: FolderBlobs) -> None:
    event = await upload(blobs, await ended(blobs, owner="another"))
    assert all(isinstance(segment, SegmentReady) for segment in await worked(blobs, event))


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_copy_that_was_broken_off_is_made_again(blobs: FolderBlobs, tmp_path: Path, writes: int) -> None:
    event = await upload(blobs, await ended(blobs))
    with pytest.raises(Transient):
        await outputs(Failing(tmp_path, writes), event)
    transcript, translation = await outputs(blobs, event)
    assert isinstance(transcript, TranscriptCompleted)
    assert isinstance(translation, TranslationCompleted)


async def test_what_a_broken_copy_leaves_bills_nobody_when_the_source_is_gone(
    blobs: FolderBlobs, tmp_path: Path
) -> None:
    source = await ended(blobs)
    event = await upload(blobs, source)
    with pytest.raises(Transient):
        await outputs(Failing(tmp_path, 2), event)
    for prefix in layout.job_prefixes(OWNER, source):
        await blobs.remove(prefix)
    assert all(isinstance(segment, SegmentReady) for segment in await worked(blobs, event))
    left = Translation.model_validate_json(await read_all(blobs, layout.translation(OWNER, event.job_id, "es")))
    assert left == SPANISH.model_copy(update={"billed": None})


async def test_a_cancelled_job_gets_no_copy(blobs: FolderBlobs, tmp_path: Path) -> None:
    event = await upload(blobs, await ended(blobs))
    assert await outputs(blobs, event, context=Told(cancel_when=lambda _: True)) == []
    assert not list(tmp_path.rglob(f"transcripts/{event.job_id}/*"))


STORED = StoredAudio(format="mp3", codec="mp3", channels=1, sample_rate=16_000, seconds=2.5, size=9)


async def with_audio(blobs: FolderBlobs) -> UUID:
    """The results of a job that had its audio stored as MP3."""
    job = await ended(blobs)
    name = layout.manifest(OWNER, job)
    manifest = Manifest.model_validate_json(await read_all(blobs, name))
    await blobs.remove(name)
    media_facts = {**manifest.media, **STORED.facts()}
    await blobs.write(name, manifest.model_copy(update={"media": media_facts}).model_dump_json().encode())
    await blobs.write(layout.stored_audio(OWNER, job, "mp3"), b"MP3 audio")
    return job


async def asking(blobs: FolderBlobs, same_as: UUID, audio_format: str | None) -> UploadReceived:
    """An upload that may be done by a copy and asks for audio."""
    event = await upload(blobs, same_as)
    return event.model_copy(update={"options": OPTIONS.model_copy(update={"audio_format": audio_format})})


async def told_audio(blobs: FolderBlobs, event: UploadReceived) -> StoredAudio | None:
    """What the manifest of a job says of its stored audio."""
    raw = await read_all(blobs, layout.manifest(OWNER, event.job_id))
    return StoredAudio.among(Manifest.model_validate_json(raw).media)


async def test_the_audio_in_the_same_format_is_copied(blobs: FolderBlobs) -> None:
    source = await with_audio(blobs)
    event = await asking(blobs, source, "mp3")
    transcript, _ = await outputs(blobs, event)
    assert isinstance(transcript, TranscriptCompleted)
    assert await told_audio(blobs, event) == STORED
    for prefix in layout.job_prefixes(OWNER, source):
        await blobs.remove(prefix)
    assert await read_all(blobs, layout.stored_audio(OWNER, event.job_id, "mp3")) == b"MP3 audio"


async def test_a_copy_that_asks_for_no_audio_has_none(blobs: FolderBlobs) -> None:
    event = await asking(blobs, await with_audio(blobs), None)
    await outputs(blobs, event)
    assert await told_audio(blobs, event) is None
    assert await blobs.stat(layout.stored_audio(OWNER, event.job_id, "mp3")) is None


@pytest.mark.parametrize(("had", "asked"), [("mp3", "flac"), (None, "mp3"), ("mp3, and lost", "mp3")])
async def test_audio_in_another_format_is_made_and_nothing_is_recognised_again(
    blobs: FolderBlobs, had: str | None, asked: str
) -> None:
    source = await (ended(blobs) if had is None else with_audio(blobs))
    if had == "mp3, and lost":
        await blobs.remove(layout.stored_audio(OWNER, source, "mp3"))
    event = await asking(blobs, source, asked)
    found = await worked(blobs, event)
    assert [type(told) for told in found] == [TranscriptCompleted, TranslationCompleted]
    stored = await told_audio(blobs, event)
    assert stored is not None
    assert (stored.format, stored.channels, stored.sample_rate) == (asked, 1, 16_000)
    assert stored.seconds == pytest.approx(17.245, abs=0.01)
    blob = await blobs.stat(layout.stored_audio(OWNER, event.job_id, AUDIO_FORMATS[asked].ending))
    assert blob is not None
    assert blob.size == stored.size
    assert not [info async for info in blobs.list(layout.segment_audio(OWNER, event.job_id, 0))]


async def test_a_copy_cancelled_while_its_audio_is_made_leaves_no_audio(blobs: FolderBlobs, tmp_path: Path) -> None:
    event = await asking(blobs, await ended(blobs), "flac")
    context = Told(cancel_when=lambda told: bool(list(tmp_path.rglob(f"audio/{event.job_id}/audio.flac"))))
    decoder = await FfmpegDecoder.detect(TranscoderSettings())
    assert await outputs(blobs, event, decoder=decoder, context=context) == []
    assert not list(tmp_path.rglob(f"audio/{event.job_id}/*"))
