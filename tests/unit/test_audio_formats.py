"""Every format in the table: written by a real worker, and read back by another reader."""

from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs.folder import FolderBlobs
from common.stored_audio import StoredAudio
from support import media
from support.transcoding import OWNER, Room
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[FfmpegDecoder]:
    made = await FfmpegDecoder.detect(TranscoderSettings())
    yield made
    made.close()


@pytest.mark.parametrize("name", AUDIO_FORMATS)
async def test_x(name, decoder, tmp_path):
    room = Room(FolderBlobs(tmp_path), decoder)
    data = (media.SAMPLES / "monologue.wav").read_bytes()
    event = await room.upload(data)
    event = event.model_copy(update={"options": event.options.model_copy(update={"audio_format": name})})
    await room.transcode(event)
    m = await room.manifest(event.job_id)
    print(m.media)
    b = layout.stored_audio(OWNER, event.job_id, AUDIO_FORMATS[name].ending)
    print(await room.blobs.stat(b))
    async with room.blobs.local(b) as p:
        c = av.open(str(p))
        s = c.streams.audio[0]
        print(
            c.format.name,
            c.duration / 1e6,
            s.codec_context.name,
            s.codec_context.channels,
            s.codec_context.sample_rate,
            m.duration,
        )
