"""`scribewire transcribe`: files and addresses in, transcripts out, with a progress bar for each."""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from scribewire.client import Client
from scribewire.commands.audio import STORED_AUDIO
from scribewire.commands.priority import Priority, when
from scribewire.errors import JobFailed, ScribewireError
from scribewire.models import TERMINAL, Job
from scribewire.output import AsJson, destination, print_json, reason, show
from scribewire.source import Source
from scribewire.submitting import BIG, failure, fetch, options_of, send
from scribewire.verbs.unfinished import NOT_KEPT, Unfinished, unfinished

SHARES = {"queued": (0.2, 0.2), "transcoding": (0.2, 0.3), "transcribing": (0.3, 0.9), "translating": (0.9, 1.0)}
"""Where each status begins and ends on the bar; the upload is the first fifth."""


INTERRUPTED = 130
"""What a program ends with that Ctrl-C ended, by the custom of shells."""


class Format(StrEnum):
    """What a transcript can be written as."""

    txt = auto()
    json = auto()
    srt = auto()
    vtt = auto()


@dataclass
class Outcome:
    """What became of one file or address: its job, its transcripts by suffix, what failed, where they were written."""

    source: Source
    transcripts: dict[str, bytes] = field(default_factory=dict)
    error: ScribewireError | None = None
    job: Job | None = None
    written: list[Path] = field(default_factory=list)


def transcribe(
    sources: Annotated[
        list[Source],
        typer.Argument(parser=Source.parse, metavar="FILE|URL", help="Audio or video; an address is fetched."),
    ],
    format: Annotated[Format, typer.Option("--format", "-f", help="Of the transcript.")] = Format.txt,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", file_okay=False, help="Folder for one file each.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Spoken language, BCP 47; en by default.")] = None,
    translate: Annotated[list[str] | None, typer.Option(help="Also translate into this language.")] = None,
    provider: Annotated[str | None, typer.Option(help="Recognition engine.")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model.")] = None,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell speakers apart.")] = False,
    plugins: Annotated[
        str | None, typer.Option(help="Plug-ins, separated by commas, in the order in which they run; '' for none.")
    ] = None,
    audio_format: Annotated[str | None, typer.Option(help=STORED_AUDIO)] = None,
    priority: Annotated[
        Priority | None, typer.Option(help="interactive by default; bulk comes behind it, deferred when there is room.")
    ] = None,
    bulk: Annotated[bool, typer.Option("--bulk", help="The same as --priority bulk.")] = False,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --priority deferred: when the work begins at the latest, such as 2026-12-01T06:00; without a "
            "zone it is this machine's time.",
        ),
    ] = None,
    reuse: Annotated[
        bool, typer.Option(" /--no-reuse", help="Work anew where an earlier job had the same file and options.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with the upload of a big file that was interrupted.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Transcribe files and what lies at addresses; ends with 1 when one of them failed, and says why."""
    chosen = options_of(
        language=language,
        translate=translate,
        provider=provider,
        model=model,
        diarize=diarize or None,
        plugins=None if plugins is None else tuple(filter(None, plugins.split(","))),
        audio_format=audio_format,
        **when(priority, bulk=bulk, deadline=deadline),
        reuse=None if reuse else False,
    )
    errors = Console(stderr=True)
    if output:
        output.mkdir(parents=True, exist_ok=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    outcomes: list[Outcome] = []
    taken: set[Path] = set()
    with (
        Client() as client,
        Progress(*columns, TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=errors) as bars,
        ThreadPoolExecutor(max_workers=8) as pool,
        _interruptible(bars, errors),
    ):
        work = Work(client, chosen, format.value, bars, resume=resume)
        for outcome in pool.map(work, sources):
            outcomes.append(outcome)
            if output:
                # At once, so that an interrupted run of a hundred files keeps what is done.
                for path in _write(outcome, output, taken):
                    errors.print(escape(str(path)), highlight=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.error:
            text = f"[red]{escape(str(outcome.source))}[/red]: {escape(reason(outcome.error))}"
            errors.print(text, highlight=False, soft_wrap=True)
        if not output and not as_json:
            for content in outcome.transcripts.values():
                show(outcome.source.path, content, heading=len(sources) > 1 or len(outcome.transcripts) > 1)
    if as_json:
        print_json([_document(outcome) for outcome in outcomes])
    if failed := max(outcome.error.exit_code if outcome.error else 0 for outcome in outcomes):
        raise typer.Exit(failed)


class Work:
    """Takes one source from its bytes to its transcripts, whatever happens."""

    def __init__(
        self, client: Client, options: Mapping[str, Any], suffix: str, bars: Progress, *, resume: bool
    ) -> None:
        self._client = client
        self._options = options
        self._suffix = suffix
        self._bars = bars
        self._resume = resume

    def __call__(self, source: Source) -> Outcome:
        """What became of it."""
        bar = self._bars.add_task(escape(source.path.name), total=1.0, state="uploading")
        outcome = Outcome(source)
        try:
            if self._resume and source.url is None and source.path.stat().st_size >= BIG:
                with unfinished(self._client.gateway.url, source.path, self._options) as memory:
                    self._one(outcome, bar, memory)
            else:
                self._one(outcome, bar, None)
        except (ScribewireError, OSError) as error:
            self._bars.update(bar, state="failed")
            outcome.error = error if isinstance(error, ScribewireError) else ScribewireError(reason(error))
        return outcome

    def _one(self, outcome: Outcome, bar: Any, memory: Unfinished | None) -> None:
        source = outcome.source
        size = 1 if source.url is not None else max(source.path.stat().st_size, 1)

        def sent(count: int) -> None:
            self._bars.update(bar, completed=0.2 * count / size)

        job = outcome.job = send(self._client, source, self._options, sent=sent, memory=memory)
        for state in self._client.follow(job["id"]):
            job = outcome.job = state
            first, last = SHARES.get(job["status"], (1.0, 1.0))
            done = first + (last - first) * float(job.get("fraction") or 0.0)
            self._bars.update(bar, completed=done, state=job["status"])
        if job["status"] in TERMINAL:
            (memory or NOT_KEPT).forget()
        if job["status"] != "completed":
            raise failure(job)
        for suffix, content in fetch(self._client, job, self._suffix):
            if isinstance(content, JobFailed):
                outcome.error = content
            else:
                outcome.transcripts[suffix] = content


@contextmanager
def _interruptible(bars: Progress, errors: Console) -> Iterator[None]:
    """Let Ctrl-C end the program at once."""
    try:
        yield
    except KeyboardInterrupt:
        bars.stop()
        errors.print(
            "interrupted: jobs that were submitted go on; the same command takes up big uploads", soft_wrap=True
        )
        sys.stdout.flush()
        # Python would wait for the threads, which follow jobs for as long as those take. Nothing is lost: what was
        # begun is on the disk, and locks end with the process.
        os._exit(INTERRUPTED)


def _write(outcome: Outcome, folder: Path, taken: set[Path]) -> Iterator[Path]:
    for suffix, content in outcome.transcripts.items():
        path = destination(folder, outcome.source.path, suffix, taken)
        path.write_bytes(content)
        outcome.written.append(path)
        yield path
    outcome.transcripts.clear()


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": str(outcome.source),
        "job": outcome.job,
        "error": str(outcome.error) if outcome.error else None,
        "transcripts": {suffix: content.decode() for suffix, content in outcome.transcripts.items()},
        "written": [str(path) for path in outcome.written],
    }
