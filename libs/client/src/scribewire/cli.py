"""The command line: a typer app that mounts the commands other packages bring by entry point."""

import sys
from importlib.metadata import entry_points

import typer
from rich.console import Console
from rich.markup import escape

from scribewire.commands.jobs import app as jobs
from scribewire.commands.transcribe import transcribe
from scribewire.errors import ScribewireError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Scribewire: speech in, text out, on a log. "
    "Ends with 0 when all went well, 1 when a job failed, 2 for wrong use, 3 without access, 4 without a gateway.",
)
app.command()(transcribe)
app.add_typer(jobs, name="jobs")


def main() -> None:
    """Run the command line with every command that is installed."""
    for entry in entry_points(group="scribewire.commands"):
        app.add_typer(entry.load())
    try:
        app()
    except ScribewireError as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
