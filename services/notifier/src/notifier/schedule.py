"""When a failed delivery is tried again."""

import random

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds after each failed attempt: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, which is 75 hours in all."""
JITTER = 0.1
"""Part by which a wait is longer or shorter by chance, so that what failed together does not come back together."""
LONGEST_ASKED = 86400.0
"""Seconds of a receiver's Retry-After that are obeyed."""


def next_wait(failures: int, asked: float | None = None, *, chance: random.Random | None = None) -> float | None:
    """Seconds until the next attempt.

    Parameters
    ----------
    failures
        Attempts that failed so far, at least one.
    asked
        What the receiver asked for by Retry-After; never less is waited, up to a day.
    chance
        Where the jitter comes from.

    Returns
    -------
    float or None
        None when there is no further attempt.
    """
    if failures > len(WAITS):
        return None
    wait = WAITS[failures - 1] * (chance or random).uniform(1 - JITTER, 1 + JITTER)
    return max(wait, min(asked or 0.0, LONGEST_ASKED))
