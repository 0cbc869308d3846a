"""The two words a stage has for failure: `Permanent` and `Transient`."""


class StageError(Exception):
    """What a handler raises when it cannot do its work; the message is read by people."""


class Permanent(StageError):  # noqa: N818 - the house's word, see architecture.md
    """Trying again cannot help: the event goes to the dead letters and the job fails with this reason.

    Parameters
    ----------
    code
        Stable machine-readable reason, snake case, for example ``no_audio``.
    message
        What was wrong and what to do, for the person who sent the media. No secrets, no paths.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Transient(StageError):  # noqa: N818 - the house's word, see architecture.md
    """Trying again later may help: the bus delays the event and runs it again.

    Parameters
    ----------
    message
        What was wrong; becomes the job's error when the retries are used up.
    retry_after
        Seconds the other side asked us to wait, or None for the schedule's own delay.
    code
        Stable machine-readable reason that the job carries when the retries are used up.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, code: str = "unavailable") -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.code = code
