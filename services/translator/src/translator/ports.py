"""What the translator needs of the world: somebody who translates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Translated:
    """Texts in the other language, one for each given, and what a paid provider charged for them."""

    texts: tuple[str, ...]
    input_tokens: int = 0
    output_tokens: int = 0


class Translator(Protocol):
    """A translation engine."""

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        ...

    @property
    def model(self) -> str | None:
        """The model it uses, or None when it has no models."""
        ...

    @property
    def endpoint(self) -> str | None:
        """What of the provider's is called and paid for, or None when nothing is paid."""
        ...

    @property
    def batch(self) -> int:
        """Characters one call should take; a longer single text is given alone."""
        ...

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> Translated:
        """Translate texts that follow each other from one BCP 47 language into another.

        Parameters
        ----------
        texts
            At least one; none is blank, none has line ends.

        Raises
        ------
        common.errors.Permanent
            The pair is not there, or the provider refuses the texts.
        common.errors.Transient
            The provider does not answer for now, or wants to be asked more slowly.
        """
        ...
