"""Commands that run the whole platform on one machine."""

import typer

app = typer.Typer()
