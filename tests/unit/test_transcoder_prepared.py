"""Chains of filters that are made before a process is forked for a file."""

import random
import subprocess
import sys

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


SILENCE = """
from transcoder.worker.resample import Form, Resampler
for layout in ("stereo", "5.1", "7.1"):
    for samples in ("fltp", "u8p", "s16"):
        chain = Resampler(Form(48_000, samples, layout))
        made = b"".join(map(bytes, [*chain.feed_silence(96_000), *chain.finish()]))
        assert (len(made), set(made)) == (2 * 32_000, {0}), (layout, samples)
print("silent")
"""


def test_silence_of_every_form_is_silent() -> None:
    # In a process of its own: a write beside the frame's memory would end it.
    ended = subprocess.run([sys.executable, "-c", SILENCE], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "silent\n"), ended.stderr


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
