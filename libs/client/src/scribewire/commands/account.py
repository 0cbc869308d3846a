"""`scribewire account`: show, export and delete the account."""

from pathlib import Path
from typing import Annotated

import typer

from scribewire.client import Client
from scribewire.commands.login import PasswordStdin, ask_password
from scribewire.output import AsJson, facts, print_json, whole

app = typer.Typer(help="Show, export and delete your account.", no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the account."""
    with Client() as client:
        account = client.account()
    print_json(account) if as_json else facts(account)


@app.command()
def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The ZIP to write.")] = Path("scribewire-export.zip"),
    recordings: Annotated[bool, typer.Option(" /--no-recordings", help="Without the recordings themselves.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write everything of the account to a ZIP: recordings, transcripts, jobs, usage, what you agreed to."""
    with whole(output, force=force) as file, Client() as client:
        client.export(file, recordings=recordings)
    typer.echo(str(output), err=True)


@app.command()
def password(password_stdin: PasswordStdin = False) -> None:
    """Set another password; every other login ends. Standard input: the present one, then the new one."""
    current = ask_password("Present password", from_stdin=password_stdin)
    new = ask_password("New password", from_stdin=password_stdin, twice=True)
    with Client() as client:
        client.change_password(current, new)


@app.command()
def delete(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase the account with every job, recording, transcript and key of it; there is no way back."""
    with Client() as client:
        account = client.account()
        name = str(account.get("username") or account.get("email") or account["id"])
        if not yes:
            typer.echo(f"Everything of {name} at {client.gateway.url} will be erased, for good.", err=True)
            if typer.prompt("Type the name to go on", err=True) != name:
                typer.echo("that is not the name: nothing was erased", err=True)
                raise typer.Exit(2)
        client.delete_account()
        if client.gateway.keep is not None:
            client.gateway.keep.write(None)
    typer.echo(f"{name} is erased", err=True)
