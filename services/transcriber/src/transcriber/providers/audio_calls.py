"""What is particular to a paid call with audio in it: how long it may take, and what a refused recording is called."""

from collections.abc import Mapping

REFUSALS: Mapping[int, str] = {413: "audio_too_large", 415: "audio_refused"}
"""Codes for HTTP statuses that speak of the audio itself."""


def time_limit(duration: float) -> float:
    """Seconds for some seconds of audio: half a minute and as long as the speech, but eleven minutes at most."""
    return min(30.0 + duration, 660.0)
