"""`scribewire transcribe`: files or addresses in, transcripts out, with a progress bar for each."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from scribewire.client import Client
from scribewire.errors import JobFailed, ScribewireError
from scribewire.output import destination, show
from scribewire.source import Source

SHARES = {"queued": (0.2, 0.2), "transcoding": (0.2, 0.3), "transcribing": (0.3, 0.9), "translating": (0.9, 1.0)}
"""Where each status begins and ends on the bar; the upload is the first fifth."""


class Format(StrEnum):
    """What a transcript can be written as."""

    txt = auto()
    json = auto()
    srt = auto()
    vtt = auto()


@dataclass
class Outcome:
    """What became of one file: its transcripts by suffix, and what failed."""

    file: Source
    transcripts: dict[str, bytes]
    error: ScribewireError | None = None


def transcribe(
    files: Annotated[
        list[Source],
        typer.Argument(parser=Source.parse, metavar="FILE|URL", help="Audio or video; an address is fetched."),
    ],
    format: Annotated[Format, typer.Option("--format", "-f", help="Of the transcript.")] = Format.txt,  # noqa: A002
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for one file each.")] = None,
    language: Annotated[str | None, typer.Option(help="Spoken language, BCP 47; en by default.")] = None,
    translate: Annotated[list[str] | None, typer.Option(help="Also translate into this language.")] = None,
    provider: Annotated[str | None, typer.Option(help="Recognition engine.")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model.")] = None,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell speakers apart.")] = False,
    bulk: Annotated[bool, typer.Option("--bulk", help="Behind interactive work.")] = False,
    reuse: Annotated[
        bool, typer.Option(" /--no-reuse", help="Work anew where an earlier job had the same file and options.")
    ] = True,
) -> None:
    """Transcribe files; ends with 1 when one of them failed, and says why."""
    options = {
        "language": language,
        "translate": translate,
        "provider": provider,
        "model": model,
        "diarize": "true" if diarize else None,
        "priority": "bulk" if bulk else None,
        "reuse": None if reuse else "false",
    }
    chosen = {name: value for name, value in options.items() if value}
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
    ):
        for outcome in pool.map(lambda file: _one(client, file, chosen, format.value, bars), files):
            outcomes.append(outcome)
            if output:
                # At once, so that an interrupted run of a hundred files keeps what is done.
                for path in _write(outcome, output, taken):
                    errors.print(escape(str(path)), highlight=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.error:
            text = f"[red]{escape(str(outcome.file))}[/red]: {escape(str(outcome.error))}"
            errors.print(text, highlight=False, soft_wrap=True)
        if not output:
            for content in outcome.transcripts.values():
                show(outcome.file.path, content, heading=len(files) > 1 or len(outcome.transcripts) > 1)
    if failed := max(outcome.error.exit_code if outcome.error else 0 for outcome in outcomes):
        raise typer.Exit(failed)


def _write(outcome: Outcome, folder: Path, taken: set[Path]) -> Iterator[Path]:
    for suffix, content in outcome.transcripts.items():
        path = destination(folder, outcome.file.path, suffix, taken)
        path.write_bytes(content)
        yield path
    outcome.transcripts.clear()


def _one(client: Client, file: Source, options: Mapping[str, Any], suffix: str, bars: Progress) -> Outcome:
    bar = bars.add_task(escape(file.path.name), total=1.0, state="uploading")
    outcome = Outcome(file, {})
    try:
        if file.url is not None:
            job = client.submit_url(file.url, options)
        else:
            size = max(file.path.stat().st_size, 1)
            job = client.submit(file.path, options, sent=lambda n: bars.update(bar, completed=0.2 * n / size))
        for state in client.follow(job["id"]):
            job = state
            first, last = SHARES.get(job["status"], (1.0, 1.0))
            done = first + (last - first) * float(job.get("fraction") or 0.0)
            bars.update(bar, completed=done, state=job["status"])
        if job["status"] != "completed":
            error = job.get("error") or {"code": job["status"], "message": f"the job was {job['status']}"}
            raise JobFailed(error["code"], error["message"])
        outcome.transcripts[suffix] = client.transcript(job["id"], format=suffix)
        for translation in job.get("translations") or ():
            language = translation["language"]
            if error := translation.get("error"):
                outcome.error = JobFailed(error["code"], f"not translated into {language}: {error['message']}")
                continue
            outcome.transcripts[f"{language}.{suffix}"] = client.transcript(job["id"], format=suffix, language=language)
    except (ScribewireError, OSError) as error:
        bars.update(bar, state="failed")
        outcome.error = error if isinstance(error, ScribewireError) else ScribewireError(str(error))
    return outcome
