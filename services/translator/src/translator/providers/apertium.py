"""Apertium: rule-based translation by a program on this machine, free and offline."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from common.catalogue import ISO_639_1, primary
from common.errors import Permanent, Transient
from translator.counted import counted
from translator.ports import Translated

_PARAGRAPH = re.compile(r"\n{2,}")
_ENDS_OF_RUNS = 5.0
"""Seconds for a killed program to be gone."""


class Apertium:
    """Runs the program once for many texts: each is a paragraph, and Apertium keeps paragraphs apart.

    Parameters
    ----------
    program
        The `apertium` script.
    modes
        The translation directions it has, as ``apertium -l`` names them.
    seconds
        Longest run for one call; the whole process group is killed after it.
    """

    name = "apertium"
    model: str | None = None
    endpoint: str | None = None
    batch = 20_000

    def __init__(self, *, program: Path, modes: frozenset[str], seconds: float = 120.0) -> None:
        self._program = program
        self._modes = modes
        self._seconds = seconds

    @classmethod
    async def installed(cls, program: Path, *, seconds: float = 120.0) -> "Apertium | None":
        """The installed Apertium with the directions it has, or None when there is no such program."""
        try:
            listing = await _run([str(program), "-l"], b"", seconds=20.0)
        except (OSError, Transient):
            return None
        return cls(program=program, modes=frozenset(listing.decode().split()), seconds=seconds)

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> Translated:
        """Translate texts; words Apertium does not know stay as they are."""
        mode = self._mode(source, target)

        async def ask(some: Sequence[str]) -> tuple[Sequence[str], int, int]:
            command = [str(self._program), "-u", "-f", "txt", mode]
            try:
                out = await _run(command, "\n\n".join(some).encode(), seconds=self._seconds)
            except OSError as error:
                raise Transient("Apertium cannot be started.", code="translator_unavailable") from error
            return [text for text in _PARAGRAPH.split(out.decode(errors="replace").strip("\n")) if text], 0, 0

        return await counted(texts, ask)

    def _mode(self, source: str, target: str) -> str:
        """The direction for a pair: the target's regional variant where there is one, else the plain language."""
        region = target.rpartition("-")[2].upper() if "-" in target else ""
        pairs = [f"{s}-{t}" for s in _codes(source) for t in _codes(target)]
        wanted = [f"{pair}_{region}" for pair in pairs if region] + pairs
        found = next((mode for mode in wanted if mode in self._modes), None)
        if found is None:
            have = ", ".join(sorted(mode for mode in self._modes if "_" not in mode)) or "no direction at all"
            raise Permanent(
                "unsupported_translation",
                f"Apertium cannot translate {source} into {target} here; installed: {have}.",
            )
        return found


_CODES: Mapping[str, str] = {two: three for three, two in ISO_639_1.items()}


def _codes(language: str) -> tuple[str, ...]:
    tag = primary(language)
    return tuple(dict.fromkeys((_CODES.get(tag, tag), tag)))


async def _run(command: Sequence[str], text: bytes, *, seconds: float) -> bytes:
    """A program's output; it runs in a process group of its own, which is killed when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        # Its tools read text by the locale; nothing else of our environment is their business.
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate(text)
    except TimeoutError:
        raise Transient(f"Apertium did not end within {seconds:.0f} s.", code="translation_timeout") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _ENDS_OF_RUNS)
    if process.returncode != 0:
        raise Transient(f"Apertium ended with {process.returncode}.", code="translation_failed")
    return out
