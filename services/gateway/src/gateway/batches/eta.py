"""How long a batch still takes, from the audio that waits and the audio that was done lately."""

from gateway.batches.store import Tally


def eta_seconds(tally: Tally) -> float | None:
    """Seconds until a batch is done as fast as it went lately; None before an item has ended, or when all have.

    An item whose length is not known yet counts as the mean of those that ended. Where none of these had a length,
    as when all failed, items are counted instead of seconds of audio.
    """
    left = tally.waiting + sum(tally.out.values())
    if not (left and tally.lately and tally.lately_age > 0):
        return None
    if not tally.lately_known or tally.lately_seconds <= 0:
        return left / tally.lately * tally.lately_age
    mean = tally.lately_seconds / tally.lately_known
    seconds = tally.out_seconds + (left - tally.out_known) * mean
    return seconds / tally.lately_seconds * tally.lately_age
