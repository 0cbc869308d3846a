"""`scribewire watch`: submit what appears in a folder."""

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from scribewire.client import Client
from scribewire.commands.audio import STORED_AUDIO
from scribewire.commands.priority import Priority
from scribewire.commands.transcribe import Format
from scribewire.errors import Problem, ScribewireError, Unreachable
from scribewire.submitting import options_of
from scribewire.watching.memory import remembering
from scribewire.watching.scan import MEDIA
from scribewire.watching.watcher import Watcher, Wishes
from scribewire.watching.work import Collect, Kind, Submit


def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="What appears here is submitted.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--out", "--output", file_okay=False, help="Folder for the transcripts; none by default."),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="Of the transcripts.")] = Format.txt,  # noqa: A002
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Folders below as well.")] = False,
    pattern: Annotated[
        list[str] | None, typer.Option(help="Names to take, such as '*.wav'; those of media by default.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all that is there is done.")] = False,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change after which a file is whole.")] = 3.0,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 2.0,
    language: Annotated[str | None, typer.Option(help="Spoken language, BCP 47; en by default.")] = None,
    translate: Annotated[list[str] | None, typer.Option(help="Also translate into this language.")] = None,
    provider: Annotated[str | None, typer.Option(help="Recognition engine.")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model.")] = None,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell speakers apart.")] = False,
    audio_format: Annotated[str | None, typer.Option(help=STORED_AUDIO)] = None,
    priority: Annotated[
        Priority, typer.Option(help="bulk is behind what somebody waits for, deferred is done when there is room.")
    ] = Priority.bulk,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one event a line.")] = False,
) -> None:
    """Submit every recording that appears in a folder, once, also over restarts; files are never moved or changed.

    A file is taken when it stopped changing. One that cannot be read is tried again.

    A signal ends it after what is on its way; a second one at once.
    """
    options = options_of(
        language=language,
        translate=translate,
        provider=provider,
        model=model,
        diarize=diarize or None,
        audio_format=audio_format,
        priority=priority.value,
    )
    folder = folder.resolve()
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        output = output.resolve()
    telling = threading.Lock()

    def say(kind: Kind, path: Path, what: str) -> None:
        line = f"{kind:9}  {_shown(path, folder)}  {what}"
        if as_json:
            line = json.dumps({"event": kind, "file": str(path), "detail": what}, ensure_ascii=False)
        with telling:
            typer.echo(line, err=kind == "waiting" and not as_json)

    with Client() as client, remembering(client.gateway.url, folder) as memory:
        submit = Submit(client, memory, options, say)
        collect = None
        if output is not None:
            collect = Collect(client, memory, folder=folder, output=output, suffix=format.value, say=say)
        wishes = Wishes(folder, pattern or MEDIA, recursive, output, settle, every)
        watcher = Watcher(wishes, memory, submit, collect, say)
        # Nothing is on its way yet: a signal ends it at once, however long the gateway takes to answer.
        _reach(client, once=once)
        watcher.run(_stopped_by_signals(), once=once)
    if once and watcher.failed:
        raise typer.Exit(ScribewireError.exit_code)


def _reach(client: Client, *, once: bool) -> None:
    """Find out at once whether the gateway is there and lets us in, rather than with the first file."""
    try:
        client.jobs(limit=1)
    except Unreachable as error:
        if once:
            raise
        typer.echo(f"{error}: waiting for it", err=True)
    except Problem as problem:
        # A key may be allowed to submit and not to read.
        if problem.status == 401:
            raise


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


def _shown(path: Path, folder: Path) -> str:
    try:
        text = str(path.relative_to(folder))
    except ValueError:
        text = str(path)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
