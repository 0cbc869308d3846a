"""The command line: a typer app that mounts the commands other packages bring by entry point."""

from importlib.metadata import entry_points

import typer

app = typer.Typer(no_args_is_help=True)


def main() -> None:
    """Run the command line with every command that is installed."""
    for entry in entry_points(group="scribewire.commands"):
        app.add_typer(entry.load())
    app()
