"""`scribewire usage`: what was used and what may be."""

import typer

from scribewire.client import Client
from scribewire.output import AsJson, facts, print_json


def usage(as_json: AsJson = False) -> None:
    """Show what was used in this period and what may be used."""
    with Client() as client:
        found = {"usage": client.usage(), "limits": client.limits()}
    if as_json:
        print_json(found)
        return
    for name, document in found.items():
        typer.echo(name)
        facts({f"  {key}": value for key, value in document.items()})
