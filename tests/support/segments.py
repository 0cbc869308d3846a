"""A job in the middle of its way: its manifest and audio stored, its segments ready to be recognised."""

import io
import wave
from collections.abc import Sequence
from uuid import UUID, uuid4

from common import layout
from common.blobs import Blobs
from common.events import BlobRef, SegmentReady
from common.manifest import Manifest, Piece
from common.options import JobOptions

OWNER = "operator"


def wav(pcm: bytes) -> bytes:
    """A 16 kHz mono 16-bit WAV file of some samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(pcm)
    return file.getvalue()


def silence(seconds: float, *, mark: int = 0) -> bytes:
    """A silent WAV file; ``mark`` makes it other bytes with the same sound."""
    return wav(mark.to_bytes(2, "little") + b"\0\0" * (int(seconds * 16_000) - 1))


async def store_job(
    blobs: Blobs,
    audio: Sequence[bytes],
    *,
    provider: str = "pocketsphinx",
    options: JobOptions | None = None,
    job: UUID | None = None,
) -> list[SegmentReady]:
    """Store the segments' audio and the manifest, as the transcoder does; return the events it would publish."""
    job, options = job or uuid4(), options or JobOptions()
    pieces, start = [], 0.0
    for index, data in enumerate(audio):
        name = layout.segment_audio(OWNER, job, index)
        await blobs.write(name, data)
        end = start + (len(data) - 44) / 32_000
        pieces.append(Piece(index=index, start=start, end=end, audio=name, size=len(data)))
        start = end
    manifest = Manifest(
        duration=start, media={"codec": "pcm"}, provider=provider, options=options, pieces=tuple(pieces)
    )
    await blobs.write(layout.manifest(OWNER, job), manifest.model_dump_json().encode())
    return [
        SegmentReady(
            job_id=job,
            owner=OWNER,
            index=piece.index,
            count=len(pieces),
            start=piece.start,
            end=piece.end,
            audio=BlobRef(name=piece.audio, size=piece.size),
            provider=provider,
            options=options,
        )
        for piece in pieces
    ]
