"""The port to recognition engines: what one call hears, and what every adapter promises."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.engines import Engine
from common.options import JobOptions
from common.transcript import Utterance, Word


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What an engine heard in one piece of audio; times are seconds from the start of the piece.

    ``utterances`` may be empty, then they are made from words and pauses. ``seconds`` is the audio the engine
    charges for, ``endpoint`` the name of the call that was made.
    """

    text: str
    model: str
    endpoint: str
    seconds: float
    words: tuple[Word, ...] = ()
    utterances: tuple[Utterance, ...] = ()


class Recogniser(Protocol):
    """An engine; an adapter translates to and from it, and never retries: that is the bus's work."""

    @property
    def engine(self) -> Engine:
        """What it can do and what it costs."""
        ...

    async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
        """Recognise a 16 kHz mono 16-bit WAV file of some seconds; silence gives an empty text.

        Never blocks the event loop, and ends within a time limit in proportion to the audio. Cancelling the task
        gives the call up.

        Raises
        ------
        Permanent
            The engine refuses this audio or these options, and always will.
        Transient
            It is unreachable, overloaded, out of credit or answers nonsense; ``retry_after`` as it asked for.
        OSError
            The file cannot be read (any more).
        """
        ...
