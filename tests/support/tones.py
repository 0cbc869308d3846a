"""Recordings made of tones and pauses: tiny, all different, cut at the same places every time."""

import io
import math
import random
import wave
from array import array

RATE = 16_000


def recording(seed: int, *, bursts: int = 4, sound: float = 0.7, pause: float = 0.5) -> bytes:
    """A WAV (16 kHz, mono, 16 bit) of `bursts` tones, each followed by a pause; times in seconds.

    Two seeds never give the same bytes, so a provider that counts calls by audio tells jobs and segments apart.
    """
    chance = random.Random(seed)
    samples = array("h")
    for _ in range(bursts):
        step = 2 * math.pi * chance.uniform(200, 2000) / RATE
        samples.extend(int(12_000 * math.sin(step * n)) for n in range(int(sound * RATE)))
        samples.extend([0] * int(pause * RATE))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()
