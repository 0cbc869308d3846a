"""A segment that grows becomes a WAV file, in memory or on disk alike."""

import io
import wave

import pytest

from transcoder.spool import Spool


@pytest.mark.parametrize("in_memory", [10, 1_000_000])
async def test_samples_come_back_as_a_wav_file(in_memory: int) -> None:
    spool = Spool(in_memory)
    for _ in range(2):
        for _ in range(5):
            await spool.add(bytes(range(256)) * 10)
        raw = b"".join([block async for block in spool.wav()])
        assert len(raw) == spool.wav_size
        with wave.open(io.BytesIO(raw)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            assert file.readframes(file.getnframes()) == bytes(range(256)) * 50
        spool.clear()
        assert spool.size == 0
    spool.clear()
