"""`scribewire jobs`: list, show, cancel and delete jobs, fetch transcripts and stored audio."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scribewire.client import Client
from scribewire.commands.transcribe import Format
from scribewire.output import whole

app = typer.Typer(help="List, show, cancel and delete jobs.", invoke_without_command=True)


@app.callback()
def jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    status: Annotated[str | None, typer.Option(help="Only jobs in this status.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List jobs, newest first."""
    if context.invoked_subcommand:
        return
    with Client() as client:
        page = client.jobs(limit=limit, status=status)
    if as_json:
        typer.echo(json.dumps(page, indent=2))
        return
    for job in page["jobs"]:
        error = reason["message"] if (reason := job.get("error")) else ""
        created = job["created_at"][:19].replace("T", " ")
        done = f"{float(job.get('fraction') or 0):4.0%}"
        typer.echo(
            f"{job['id']}  {job['status']:12}  {done}  {created}  {job.get('filename') or '-'}  {error}".rstrip()
        )


@app.command()
def show(job_id: str) -> None:
    """Show one job as JSON."""
    with Client() as client:
        typer.echo(json.dumps(client.job(job_id), indent=2))


@app.command()
def get(
    job_id: str,
    format: Annotated[Format, typer.Option("--format", "-f", help="Of the transcript.")] = Format.txt,  # noqa: A002
    language: Annotated[str | None, typer.Option(help="Of a translation.")] = None,
) -> None:
    """Write a finished job's transcript to standard output."""
    with Client() as client:
        sys.stdout.buffer.write(client.transcript(job_id, format=format.value, language=language))
    # Here, where it is known what to do when nobody reads, and not as Python ends.
    sys.stdout.buffer.flush()


@app.command()
def audio(
    job_id: str,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the audio that a job was asked to store (`transcribe --audio-format`) to a file."""
    with whole(output, force=force) as file, Client() as client:
        client.audio(job_id, file)
    typer.echo(str(output), err=True)


@app.command()
def cancel(job_id: str) -> None:
    """Cancel a job; its record stays."""
    with Client() as client:
        typer.echo(client.cancel(job_id)["status"])


@app.command()
def delete(job_id: str) -> None:
    """Cancel a job and erase everything of it."""
    with Client() as client:
        client.delete(job_id)
