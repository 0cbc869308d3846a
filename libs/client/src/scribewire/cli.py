"""The command line: a typer app that mounts the commands other packages bring by entry point."""

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from scribewire.commands import account, batch, jobs, keys, login
from scribewire.commands.transcribe import transcribe
from scribewire.commands.usage import usage
from scribewire.commands.watch import watch
from scribewire.errors import ScribewireError
from scribewire.output import reason

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Scribewire: speech in, text out, on a log. "
    "Ends with 0 when all went well, 1 when a job failed, 2 for wrong use, 3 without access, 4 without a gateway.",
)
app.command()(transcribe)
app.command()(watch)
app.add_typer(jobs.app, name="jobs")
app.add_typer(batch.app, name="batch")
for command in (login.login, login.logout, login.register, login.whoami):
    app.command()(command)
app.add_typer(keys.app, name="keys")
app.add_typer(account.app, name="account")
app.command()(usage)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"scribewire {version('scribewire-client')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """What every command has."""


def main() -> None:
    """Run the command line with every command that is installed."""
    if not _is_own(sys.argv[1:]):
        for entry in entry_points(group="scribewire.commands"):
            app.add_typer(entry.load())
    try:
        app()
    except (ScribewireError, OSError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(reason(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code if isinstance(error, ScribewireError) else ScribewireError.exit_code)


def _is_own(words: Sequence[str]) -> bool:
    """Whether the command is one of the client's own: those of a whole platform take longer to load than to run."""
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    return bool(words) and words[0] in commands | groups
