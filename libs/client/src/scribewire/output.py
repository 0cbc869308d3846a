"""What commands write: transcripts to standard output or files, tables and JSON for programs."""

import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from scribewire.errors import Problem

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


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
        out.write(f"==> {source} <==\n".encode(errors="replace"))
    out.write(content if content.endswith(b"\n") else content + b"\n")
    out.flush()


def reason(error: Exception) -> str:
    """What to tell of an error: the gateway's words and when to come again, or the file that is in the way."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        return f"{named}{error.strerror.lower()}"
    if isinstance(error, Problem) and error.kind == "unauthorized":
        return "the gateway does not take the key or the login: `scribewire login`, or set another SCRIBEWIRE_API_KEY"
    if isinstance(error, Problem) and error.retry_after:
        return f"{error} Try again in {_span(error.retry_after)}."
    return str(error)


def _span(seconds: float) -> str:
    """A time in the largest unit of which it has two, rounded up."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds > 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{math.ceil(seconds)} s"


@contextmanager
def whole(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A new file, made beside its place and moved there when it is whole; readable by nobody else.

    Raises
    ------
    typer.BadParameter
        When a file is there already, unless ``force`` replaces it, or no file can be there.
    """
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} is there already; --force replaces it")
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def print_json(document: Any) -> None:
    """Write a document to standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def table(rows: Iterable[Sequence[Any]]) -> None:
    """Write rows in columns as wide as they need to be; what is missing is a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def facts(document: Mapping[str, Any]) -> None:
    """Write a document as names and values, nested ones as ``name.part``."""
    table(list(_flat(document)))


def _flat(document: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            for n, entry in enumerate(value, 1):
                yield from _flat(entry if isinstance(entry, Mapping) else {"": entry}, f"{before}{name}.{n}.")
        else:
            yield f"{before}{name}", value


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    text = str(value)
    # A time to the second; nothing that could move the cursor of a terminal.
    text = re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$", r"\1 \2", text)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
