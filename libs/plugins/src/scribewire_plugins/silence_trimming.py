"""Silence trimming: long pauses are left out, and the times of what is heard stay those of the recording."""

import numpy as np

from common.plugins import Audio, Plugin, Settings
from scribewire_plugins.given import number
from scribewire_plugins.levels import FRAME, levels

SHORTEST = 2.0
"""Seconds of quiet that make a silence worth leaving out."""

MARGIN = 0.4
"""Seconds of it that stay on either side of speech: the quiet end of a word, and the pause between sentences."""

FLOOR_DB = -62.0
"""What is below is quiet, whatever surrounds it."""

ABOVE_NOISE_DB = 6.0
"""Noise of a level varies by this much from one 20 ms to the next."""

BELOW_SPEECH_DB = 30.0
"""Nothing is quiet that is not so far below the loudest speech of its passage: it may be somebody far away."""


class SilenceTrimming(Plugin):
    """Leaves out silences longer than ``silence_seconds`` (2).

    Careful where it cannot tell: where noise is not well below the speech nothing is left out, so put it behind
    ``noise_reduction``. ``silence_trimmed_seconds`` adds up what was left out.
    """

    def get_name(self) -> str:
        """Its name."""
        return "silence_trimming"

    def pre_process(self, audio: Audio, settings: Settings) -> list[Audio]:
        """Keep what is not silence; of a silent passage nothing."""
        shortest = number(settings, "silence_seconds", SHORTEST, least=2 * MARGIN, most=3600)
        kept = [audio.part(begin, end) for begin, end in spoken(audio, shortest)]
        trimmed = audio.seconds - sum(part.seconds for part in kept)
        settings["silence_trimmed_seconds"] = round(settings.get("silence_trimmed_seconds", 0.0) + trimmed, 3)
        return kept


def spoken(audio: Audio, shortest: float) -> list[tuple[int, int]]:
    """What to keep of a passage, as first sample and the one behind the last."""
    loud = levels(audio)
    if not len(loud):
        return [(0, audio.samples)]
    background, speech = np.percentile(loud, 5), np.percentile(loud, 98)
    quiet = loud < max(FLOOR_DB, min(background + ABOVE_NOISE_DB, speech - BELOW_SPEECH_DB))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    margin, least = round(MARGIN * audio.rate / FRAME), shortest * audio.rate / FRAME
    kept, at = [], 0
    for begin, end in edges.reshape(-1, 2).tolist():
        if end - begin < least:
            continue
        # At the ends of a passage there is no speech on one side; the next passage keeps its own margin.
        first = begin + margin if begin else 0
        behind = end - margin if end < len(loud) else end
        if first * FRAME > at:
            kept.append((at, first * FRAME))
        at = behind * FRAME if end < len(loud) else audio.samples
    if at < audio.samples:
        kept.append((at, audio.samples))
    return kept
