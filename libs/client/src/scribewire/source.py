"""What is to be transcribed: a file on this machine, or an address that the gateway has fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import typer


@dataclass(frozen=True)
class Source:
    """A file, or a name made of the address at ``url``; results are named after ``path``."""

    path: Path
    url: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a word of the command line names.

        Raises
        ------
        typer.BadParameter
            When it is neither an address nor a file that can be read.
        """
        if text.startswith(("http://", "https://")):
            try:
                parts = urlsplit(text)
            except ValueError as error:
                raise typer.BadParameter(f"this is no address: {error}") from error
            if not parts.hostname:
                raise typer.BadParameter("this is no address: it names no host")
            last = Path(unquote(parts.path, errors="replace")).name
            return cls(Path(last.replace("\0", "") or parts.hostname), text)
        path = Path(text)
        try:
            with path.open("rb"):
                return cls(path)
        except OSError as error:
            raise typer.BadParameter(f"{text}: {error.strerror}") from error

    def __str__(self) -> str:
        """What people are shown: of an address not what may be secret."""
        if self.url is None:
            return str(self.path)
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
