"""Chains of filters that are made before a process is forked for a file."""

import random

import pytest
from av import AudioFrame

from transcoder.worker import resample
from transcoder.worker.resample import Form, Resampler, prepare, resampler_for

FORM = Form(44_100, "s16", "stereo")


def noise(seed: int) -> AudioFrame:
    """A tenth of a second."""
    frame = AudioFrame(FORM.samples, FORM.layout, FORM.rate // 10)
    frame.sample_rate = FORM.rate
    frame.planes[0].update(random.Random(seed).randbytes(frame.planes[0].buffer_size))
    return frame


def samples(chain: Resampler) -> bytes:
    """What a chain makes of two seconds."""
    made = b"".join(bytes(chunk) for seed in range(20) for chunk in chain.feed(noise(seed)))
    return made + b"".join(map(bytes, chain.finish()))


def test_a_prepared_chain_serves_once_and_the_next_is_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare([FORM])
    with monkeypatch.context() as patched:
        patched.setattr(resample, "Resampler", None)
        prepared = resampler_for(noise(0))
    fresh = resampler_for(noise(0))
    assert fresh is not prepared
    made = samples(prepared)
    assert len(made) == 2 * 16_000 * 2
    assert samples(fresh) == made
