"""`scribewire keys`: make, list, rotate and revoke API keys."""

from enum import StrEnum
from typing import Annotated

import typer

from scribewire.client import Client
from scribewire.models import NewKey
from scribewire.output import AsJson, print_json, table

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)


class Scope(StrEnum):
    """What a key may be allowed to do."""

    jobs_read = "jobs:read"
    jobs_write = "jobs:write"
    webhooks = "webhooks"
    keys = "keys"
    account = "account"
    admin = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; by default jobs and webhooks.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Never by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and write it to standard output; it is shown this once."""
    with Client() as client:
        scopes = [entry.value for entry in scope] if scope else None
        _show(client.create_key(name, scopes, expires_in_days=expires_in_days), as_json=as_json)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys that are not revoked."""
    with Client() as client:
        keys = client.keys()
    if as_json:
        print_json(keys)
        return
    columns = ("id", "prefix", "name", "scopes", "created_at", "expires_at", "last_used_at")
    if keys:
        table([[name.removesuffix("_at") for name in columns], *([key.get(name) for name in columns] for key in keys)])


@app.command()
def rotate(
    key_id: str,
    grace_seconds: Annotated[
        int | None, typer.Option(min=0, help="How long the old key stays valid; a day by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key that takes the place of another, and write it to standard output."""
    with Client() as client:
        _show(client.rotate_key(key_id, grace_seconds=grace_seconds), as_json=as_json)


@app.command()
def revoke(key_ids: Annotated[list[str], typer.Argument()]) -> None:
    """End keys at once."""
    with Client() as client:
        for key_id in key_ids:
            client.revoke_key(key_id)


def _show(key: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(key)
        return
    # Alone on standard output, so that a script can catch it; the words about it go to the terminal.
    typer.echo(key["key"])
    ends = key.get("expires_at")
    scopes, valid = ", ".join(key.get("scopes", [])), f"until {ends}" if ends else "for good"
    typer.echo(f"key {key['id']} for {scopes}, valid {valid}; it is not shown again", err=True)
