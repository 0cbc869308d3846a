"""`scribewire batch`: many items in one manifest."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scribewire.client import Client
from scribewire.errors import ScribewireError, Unreachable
from scribewire.models import Batch
from scribewire.output import AsJson, facts, print_json
from scribewire.verbs.batches import MEDIA_TYPES, Manifest, kind_of

app = typer.Typer(help="Submit manifests of many items and see to them.", no_args_is_help=True)

FIRST_LOOK, LONGEST_LOOK = 0.5, 5.0
"""Seconds between two looks at a batch: short at first, so that a small one ends quickly."""

Wait = Annotated[bool, typer.Option("--wait", help="Until every item has ended; ends with 1 when one failed.")]

STATES: tuple[Literal["completed", "failed", "cancelled", "bad"], ...] = ("completed", "failed", "cancelled", "bad")
"""Of items that have ended."""

ENDED = frozenset({"completed", "failed", "cancelled"})
"""Where a batch stays."""


@app.command()
def submit(
    manifest: Annotated[
        Path | None,
        typer.Argument(help="JSON lines or CSV of url, blob or upload, options, reference; - reads standard input."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Instead of a manifest: everything that was dropped below this name.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Of every item, such as language=de or priority=deferred; a line's own come before.",
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option("--format", help="ndjson or csv; found out by default.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the whole manifest when one line is bad.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and manifest give the same batch; a fresh one by default.")
    ] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Send a manifest, streamed, or a prefix, and write the batch's id to standard output."""
    if kind is not None and kind not in MEDIA_TYPES:
        raise typer.BadParameter(f"--format is one of {', '.join(MEDIA_TYPES)}")
    if (manifest is None) == (prefix is None):
        raise typer.BadParameter("say what to transcribe: a manifest, or --prefix, and not both")
    if prefix is not None and (kind is not None or strict):
        raise typer.BadParameter("--format and --strict are about a manifest, and --prefix has none")
    key, options = idempotency_key or str(uuid4()), _options(option)
    with Client() as client, _manifest(manifest) as file:
        try:
            if file is None:
                batch = client.submit_prefix(prefix or "", options=options, idempotency_key=key)
            else:
                found: Manifest = "csv" if kind == "csv" else "ndjson" if kind else kind_of(file)
                batch = client.submit_batch(file, kind=found, options=options, strict=strict, idempotency_key=key)
        except Unreachable as error:
            raise Unreachable(f"{error}; to repeat this safely, add --idempotency-key {key}") from error
        if wait:
            if not as_json:
                typer.echo(batch["id"])
            _ended(_wait(client, batch["id"]), as_json=as_json)
        elif as_json:
            print_json(batch)
        else:
            typer.echo(batch["id"])


@app.command("list")
def list_batches(as_json: Annotated[bool, typer.Option("--json", help="As JSON, one batch a line.")] = False) -> None:
    """List batches, newest first."""
    with Client() as client:
        for batch in client.batches():
            if as_json:
                typer.echo(json.dumps(batch, ensure_ascii=False))
            else:
                created = batch["created_at"][:19].replace("T", " ")
                typer.echo(f"{batch['id']}  {batch['status']:10}  {created}  {batch['total']:>7} items")


@app.command()
def report(batch_id: str) -> None:
    """Write every item and its outcome to standard output as CSV."""
    with tempfile.TemporaryFile() as file, Client() as client:
        client.batch_report(batch_id, file)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@app.command()
def status(batch_id: str, wait: Wait = False, as_json: AsJson = False) -> None:
    """Show how far a batch is."""
    with Client() as client:
        if wait:
            _ended(_wait(client, batch_id), as_json=as_json)
            return
        batch = client.batch(batch_id)
    print_json(batch) if as_json else facts(batch)


@app.command()
def items(
    batch_id: str,
    status: Annotated[str | None, typer.Option(help="Only items in this status, such as failed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one item a line.")] = False,
) -> None:
    """List a batch's items, in the order of the manifest."""
    with Client() as client:
        for item in client.batch_items(batch_id, status=status):
            if as_json:
                typer.echo(json.dumps(item, ensure_ascii=False))
                continue
            error = reason["message"] if (reason := item.get("error")) else ""
            job = item.get("job_id") or "-"
            typer.echo(
                f"{item['line']:>6}  {item['status']:12}  {job:36}  {item.get('reference') or '-'}  {error}".rstrip()
            )


@app.command()
def retry(batch_id: str, wait: Wait = False, as_json: AsJson = False) -> None:
    """Try what failed again, and only that."""
    with Client() as client:
        batch = client.retry_batch(batch_id)
        if wait:
            _ended(_wait(client, batch_id), as_json=as_json)
            return
    print_json(batch) if as_json else facts(batch)


@app.command()
def cancel(batch_id: str, as_json: AsJson = False) -> None:
    """Cancel what has not ended."""
    with Client() as client:
        batch = client.cancel_batch(batch_id)
    print_json(batch) if as_json else typer.echo(batch["status"])


@app.command()
def delete(batch_id: str) -> None:
    """Stop a batch and erase everything of it, its jobs included."""
    with Client() as client:
        client.delete_batch(batch_id)


@contextmanager
def _manifest(named: Path | None) -> Iterator[Path | None]:
    """A manifest as a file, also where it comes from standard input; None for none."""
    if named is None:
        yield None
    elif str(named) != "-":
        if not named.is_file():
            raise typer.BadParameter(f"{named} is not a file")
        yield named
    else:
        with tempfile.TemporaryDirectory(prefix="scribewire-") as folder:
            # Kept aside, not in memory, so that it can be sent again after a cut.
            file = Path(folder) / "manifest"
            with file.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
            yield file


def _options(pairs: list[str] | None) -> dict[str, list[str]]:
    """Options by name; one named several times has several values."""
    options: dict[str, list[str]] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"--option {pair}: write it as NAME=VALUE")
        options.setdefault(name, []).append(value)
    return options


def _wait(client: Client, batch_id: str) -> Batch:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"))
    pause = FIRST_LOOK
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        bar = bars.add_task("batch", total=None, failed="")
        while True:
            batch = client.batch(batch_id)
            ended = sum(batch.get(state) or 0 for state in STATES)
            failed = f"{batch['failed']} failed" if batch.get("failed") else ""
            bars.update(bar, total=batch.get("total"), completed=ended, failed=failed)
            if batch["status"] in ENDED:
                return batch
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)


def _ended(batch: Batch, *, as_json: bool) -> None:
    print_json(batch) if as_json else facts(batch)
    if batch["status"] != "completed" or batch.get("failed") or batch.get("bad"):
        raise typer.Exit(ScribewireError.exit_code)
