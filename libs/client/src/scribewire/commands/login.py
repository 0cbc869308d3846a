"""`scribewire login`, `logout`, `register`, `whoami`."""

import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from scribewire.client import Client
from scribewire.config import Gateway, address, discover, is_address, no_address
from scribewire.errors import NotConfigured, Problem
from scribewire.logins import LoginFile
from scribewire.output import AsJson, print_json

Url = Annotated[str | None, typer.Option(help="The gateway's address; by default the one that other commands use.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Send the password over plain http to another machine.")]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def login(
    user: Annotated[str | None, typer.Argument(help="E-mail address or user name; asked for by default.")] = None,
    url: Url = None,
    password_stdin: PasswordStdin = False,
    insecure: Insecure = False,
) -> None:
    """Log in, and stay so: later commands use this login until `scribewire logout`."""
    where = _where(url, insecure=insecure)
    user = user or typer.prompt("E-mail address or user name", err=True)
    _log_in(where, user, ask_password(from_stdin=password_stdin))


def logout(
    url: Url = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Every login of the account, on any machine.")
    ] = False,
) -> None:
    """End the login, at the gateway and here."""
    file = LoginFile()
    where = url.rstrip("/") if url else file.current()
    if where is None or file.at(where).read() is None:
        typer.echo("nobody is logged in", err=True)
        return
    with Client(Gateway(where, keep=file.at(where))) as client:
        client.logout(everywhere=everywhere)
    typer.echo(f"logged out at {where}", err=True)


def register(
    email: str,
    username: Annotated[str | None, typer.Option(help="To log in with beside the e-mail address.")] = None,
    first_name: Annotated[str | None, typer.Option()] = None,
    last_name: Annotated[str | None, typer.Option()] = None,
    company: Annotated[str | None, typer.Option()] = None,
    agree: Annotated[bool, typer.Option("--agree", help="Agree to both questions that are asked otherwise.")] = False,
    news: Annotated[bool, typer.Option("--news", help="Agree to be written to about new things.")] = False,
    url: Url = None,
    password_stdin: PasswordStdin = False,
    insecure: Insecure = False,
) -> None:
    """Make an account and log in; asks whether your data may be processed and kept, without which there is none."""
    where = _where(url, insecure=insecure)
    if not agree:
        typer.confirm("May your recordings and what you entered be processed (GDPR, PDPA)?", abort=True, err=True)
        typer.confirm("May they be kept as long as the gateway's retention says?", abort=True, err=True)
    password = ask_password(from_stdin=password_stdin, twice=True)
    details = {"first_name": first_name, "last_name": last_name, "company": company}
    kept = LoginFile().at(where)
    with Client(Gateway(where, keep=kept)) as client:
        answer = client.register(
            email,
            password,
            username=username,
            gdpr_consent=True,
            data_retention_agreed=True,
            marketing_consent=news,
            **{name: value for name, value in details.items() if value},
        )
    if "access_token" in answer:
        _logged_in(where)
    else:
        typer.echo(
            answer.get("detail") or "answer the mail that was sent to you, then run `scribewire login`", err=True
        )


def whoami(as_json: AsJson = False) -> None:
    """Show which gateway the commands use, and as whom."""
    gateway = discover()
    by = "login" if gateway.keep is not None else "key"
    with Client(gateway) as client:
        try:
            account = dict(client.account())
        except Problem as problem:
            # The operator's key belongs to no account, and a key may not be allowed to look at its own.
            if problem.status not in {403, 404, 409}:
                raise
            account = {}
    if as_json:
        print_json({"url": gateway.url, "by": by, "account": account or None})
        return
    name = account.get("username") or account.get("email")
    mail = f" ({account['email']})" if name and account.get("email") not in {None, name} else ""
    typer.echo(f"{name or 'the holder of the key'}{mail} at {gateway.url}, by {by}")


def _log_in(url: str, user: str, password: str) -> None:
    with Client(Gateway(url, keep=LoginFile().at(url))) as client:
        client.login(user, password)
    _logged_in(url)


def _logged_in(url: str) -> None:
    LoginFile().choose(url)
    typer.echo(f"logged in at {url}", err=True)
    if os.environ.get("SCRIBEWIRE_API_KEY"):
        typer.echo("SCRIBEWIRE_API_KEY is set: commands use that key and not the login", err=True)


def _where(url: str | None, *, insecure: bool) -> str:
    where = (url or address() or "").rstrip("/")
    if not where:
        raise NotConfigured("no gateway is known: say which with --url, or run `scribewire up --detach`")
    if not is_address(where):
        raise typer.BadParameter(no_address(where))
    parts = urlsplit(where)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not insecure:
        raise typer.BadParameter(f"{where} would get the password unencrypted: use https, or --insecure")
    return where


def ask_password(what: str = "Password", *, from_stdin: bool, twice: bool = False) -> str:
    """A password from the terminal, not shown, or one line of standard input."""
    if from_stdin:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for the password: use --password-stdin")
    password: str = typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return password
