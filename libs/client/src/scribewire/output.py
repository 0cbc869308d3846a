"""Where transcripts go: standard output, or one file each in a folder."""

import sys
from pathlib import Path


def destination(folder: Path, source: Path, suffix: str, taken: set[Path]) -> Path:
    """A file in the folder named after the source; a second source of the same name gets a number."""
    path, n = folder / f"{source.name}.{suffix}", 1
    while path in taken:
        n += 1
        path = folder / f"{source.name}.{n}.{suffix}"
    taken.add(path)
    return path


def show(source: Path, content: bytes, *, heading: bool) -> None:
    """Write a transcript to standard output, under a heading when there are several."""
    out = sys.stdout.buffer
    if heading:
        out.write(f"==> {source} <==\n".encode())
    out.write(content if content.endswith(b"\n") else content + b"\n")
    out.flush()
