"""What a plug-in is; the old system's names, with audio that is given passage by passage instead of as a file."""

from collections.abc import Sequence
from typing import Any

from common.plugins.audio import Audio

Settings = dict[str, Any]
"""A job's settings by name, of JSON values: what was asked for, and what plug-ins add for those behind them."""


class Plugin:
    """A plug-in that changes nothing; a class that has the three methods need not inherit from it.

    A fresh one is made for each job, without arguments, once where its audio is read and once more where its
    transcript is assembled. It is used by one thread at a time.
    """

    def get_name(self) -> str:
        """The name a job asks for it by; that of its entry point."""
        raise NotImplementedError

    def pre_process(self, audio: Audio, settings: Settings) -> Audio | Sequence[Audio]:
        """Change a passage of the recording before it is recognised.

        Called for every passage, in their order. What is given back is one `Audio`, or those parts of the passage that
        are to be kept, in their order; the rest is not recognised. Times stay those of the recording, so a part may
        not be longer than the stretch it is made from: sound can be changed and left out, not stretched or moved.
        """
        del settings
        return audio

    def post_process(self, text: str, settings: Settings) -> str:
        """Change the text of the transcript before it is stored.

        Called once with the whole text. Where that changes it, called also for every utterance and paragraph, so that
        subtitles say the same. The same text and settings must always give the same: assembly may be repeated.
        """
        del settings
        return text
