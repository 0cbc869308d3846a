"""Times of subtitles as text."""


def clock(start: float, end: float, point: str) -> str:
    """A subtitle's line of times from seconds, thousandths after ``point``; the end is always after the start."""
    first = max(0, round(start * 1000))
    return f"{_one(first, point)} --> {_one(max(first + 1, round(end * 1000)), point)}"


def _one(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{thousandths:03d}"
