"""Commands that run the whole platform on one machine."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from common import keyfile
from scribewire_local import launch
from scribewire_local.doctor import examine
from scribewire_local.home import Home
from scribewire_local.parts import ONE_SHOTS, NotRunning, environment
from scribewire_local.ports import HOST
from scribewire_local.rebuild import rebuild as run_rebuild
from scribewire_local.settings import LocalSettings
from scribewire_local.state import GatewayAddress, State

app = typer.Typer()
topics = typer.Typer(help="Kafka topics.")
app.add_typer(topics, name="topics")
admin = typer.Typer(help="Accounts, by whoever runs the service.")
app.add_typer(admin, name="admin")
encryption = typer.Typer(help="Rotate the keys of what PostgreSQL keeps encrypted: generate, promote, rotate, retire.")
admin.add_typer(encryption, name="encryption")

Changed = TypeVar("Changed")

_COLOURS = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}
_MARKS = {"ok": "[green]✓[/]", "note": "[yellow]•[/]", "bad": "[red]✗[/]"}


@app.command()
def up(detach: Annotated[bool, typer.Option(help="Return when everything is ready and let it run.")] = False) -> None:
    """Start everything on this machine and keep it running."""
    settings = _settings()
    try:
        launch.up(settings, Console(), detach=detach)
    except RuntimeError as error:
        _fail(str(error))


@app.command()
def down() -> None:
    """Stop everything; the data stays."""
    launch.down(_settings(), Console())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what runs, where, and since when."""
    settings = _settings()
    home = Home(settings.home)
    state = State.read(home.state_file)
    if state is not None:
        state.checked()
    parts = state.parts if state is not None else []
    if as_json:
        here = GatewayAddress(f"http://{HOST}:{settings.port}", str(settings.operator_key_file or home.key_file))
        shown = [{key: getattr(part, key) for key in ("name", "pid", "port", "log", "state")} for part in parts]
        typer.echo(json.dumps({"gateway": asdict(state.gateway if state else here), "parts": shown}))
        return
    if state is None or not any(part.pid for part in parts):
        typer.echo("nothing is running; start it with: scribewire up")
        return
    table = Table(box=None)
    for column in ("part", "state", "pid", "port", "log"):
        table.add_column(column, overflow="fold")
    for part in parts:
        coloured = f"[{_COLOURS[part.state]}]{part.state}[/]"
        table.add_row(part.name, coloured, str(part.pid or ""), str(part.port), part.log)
    console = Console()
    console.print(table)
    if not state.supervised():
        console.print("[red]the supervisor died: nothing is started again; scribewire up puts that right[/]")
    console.print(f"gateway: {state.gateway.url}\nkey:     {state.gateway.key_file}", soft_wrap=True)


@app.command()
def doctor() -> None:
    """Look whether this machine can run everything; tells what to do where it cannot."""
    console = Console()
    bad = False
    for finding in examine(_settings()):
        bad |= finding.verdict == "bad"
        console.print(
            f"{_MARKS[finding.verdict]} {finding.subject:<12} {finding.text}", soft_wrap=True, highlight=False
        )
    raise typer.Exit(1 if bad else 0)


@app.command()
def demo(
    samples: Annotated[Path, typer.Option(help="Folder of the recordings to send.")] = Path("samples"),
) -> None:
    """Start everything in a folder of its own (build/demo), send the samples, show what comes out, stop."""
    from scribewire_local.demo import run  # noqa: PLC0415 - brings aiokafka, which the other commands do not need

    raise typer.Exit(run(samples.absolute(), Path("build/demo").absolute()))


@topics.command("apply")
def topics_apply() -> None:
    """Create the topics of the contract, and bring their settings up to date."""
    done = subprocess.run([sys.executable, "-m", *ONE_SHOTS["topics"]], env=_joined(_settings()), check=False)
    raise typer.Exit(done.returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def dead(context: typer.Context) -> None:
    """Look at dead letters and put them back: list, show TOPIC, replay TOPIC [PARTITION/OFFSET …]."""
    _run("common.bus.dead", *context.args)


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@admin.command("create-admin", context_settings=_PASSED_ON)
def create_admin(context: typer.Context) -> None:
    """Make an admin: --email ADDRESS [--username NAME] [--generate | --password-stdin]."""
    _run("gateway.identity.admin", "create-admin", *context.args)


@admin.command("import", context_settings=_PASSED_ON)
def import_accounts(context: typer.Context) -> None:
    """Bring accounts over from the systems before: --sqlite FILE, or --flask-url URL."""
    _run("gateway.identity.importer", *context.args)


@encryption.command("generate")
def encryption_generate() -> None:
    """Add a new key, which only decrypts as yet, to the file of the keys."""
    keys = _encryption_keys()
    name = _changed(lambda: keyfile.generate(keys))
    typer.echo(f"key {name} is in {keys}; once all processes have it: scribewire admin encryption promote {name}")


@encryption.command("promote")
def encryption_promote(key: Annotated[str, typer.Argument(help="Its name, as generate and status show it.")]) -> None:
    """Encrypt with a key from now on; the others still decrypt."""
    keys = _encryption_keys()
    _changed(lambda: keyfile.promote(keys, key))
    typer.echo(f"key {key} encrypts; once all processes have it first: scribewire admin encryption rotate")


@encryption.command("rotate")
def encryption_rotate() -> None:
    """Encrypt anew what older keys had encrypted, and encrypt what an earlier release left in clear."""
    _run("common.encryption", "rotate")


@encryption.command("status")
def encryption_status() -> None:
    """Count the texts by the key that made them."""
    _run("common.encryption", "status")


@encryption.command("retire")
def encryption_retire() -> None:
    """Take the older keys out of the file, unless a text still needs one."""
    _run("common.encryption", "retire")


def _encryption_keys() -> Path:
    settings = _settings()
    return settings.encryption_keys_file or Home(settings.home).encryption_keys


def _changed(change: Callable[[], Changed]) -> Changed:
    try:
        return change()
    except ValueError as error:
        _fail(str(error))


def _run(module: str, *arguments: str) -> NoReturn:
    # Help needs nothing that runs.
    joined = None if {"-h", "--help"} & set(arguments) else _joined(_settings())
    done = subprocess.run([sys.executable, "-m", module, *arguments], env=joined, check=False)
    raise typer.Exit(done.returncode)


@app.command()
def rebuild() -> None:
    """Make the results in PostgreSQL anew from the log."""
    settings = _settings()
    joined = _joined(settings)
    raise typer.Exit(run_rebuild(joined, Home(settings.home).log("rebuild"), Console()))


def _joined(settings: LocalSettings) -> dict[str, str]:
    try:
        return environment(settings.home, settings)
    except NotRunning as error:
        _fail(str(error))


def _settings() -> LocalSettings:
    try:
        return LocalSettings()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            shown = name if name.isupper() else f"SCRIBEWIRE_{name.upper()}"
            typer.echo(f"{shown}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
