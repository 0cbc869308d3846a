"""`make demo`: everything started in a folder of its own, the samples sent, what comes out shown, all stopped."""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from scribewire.client import TERMINAL, Client
from scribewire.config import Gateway
from scribewire.errors import ScribewireError
from scribewire_local import demo_events, launch
from scribewire_local.demo_receiver import Receiver
from scribewire_local.home import Home
from scribewire_local.marks import marked
from scribewire_local.parts import environment
from scribewire_local.ports import free_port
from scribewire_local.settings import LocalSettings

_SPEECH = ("monologue.wav", "dialogue.wav", "video.mp4")
_CORRUPT = "corrupt.mp3"
_JOB_SECONDS = 300.0
_WEBHOOK_SECONDS = 60.0


@dataclass
class _Demo:
    """What the sections share: the screen, the gateway, the jobs as last seen, and what was not as promised."""

    console: Console
    gateway: Gateway
    jobs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def promise(self, kept: object, text: str) -> None:
        """Note what was not as promised."""
        if not kept:
            self.broken.append(text)
            self.console.print(f"[red]✗ {escape(text)}[/]")


def run(samples: Path, folder: Path) -> int:
    """Run the demo; 0 when everything was as promised, 1 otherwise.

    Parameters
    ----------
    samples
        Folder with the recordings.
    folder
        Data folder; what an earlier demo left there is removed.
    """
    console = Console(highlight=False)
    missing = [name for name in (*_SPEECH, _CORRUPT) if not (samples / name).exists()]
    if missing:
        console.print(f"[red]not in {samples}: {', '.join(missing)}")
        return 1
    os.environ |= {
        "SCRIBEWIRE_HOME": str(folder),
        "SCRIBEWIRE_PORT": str(free_port()),
        # The receiver of this demo is on this machine, where webhooks do not go otherwise.
        "SCRIBEWIRE_WEBHOOK_ALLOW_PRIVATE": "1",
    }
    settings = LocalSettings()
    seconds: dict[str, float] = {}
    demo: _Demo | None = None
    try:
        with _section(console, seconds, "start everything"):
            _clear(settings, folder)
            launch.up(settings, console, detach=True)
        key = Path(settings.operator_key_file or Home(folder).key_file).read_text().strip()
        demo = _Demo(console, Gateway(f"http://127.0.0.1:{settings.port}", key))
        with Receiver() as receiver:
            _show(demo, receiver, settings, samples, seconds)
    except (RuntimeError, OSError, ScribewireError, httpx.HTTPError) as error:
        console.print(f"[red]✗ {escape(str(error))}[/]")
    finally:
        with _section(console, seconds, "stop everything"):
            launch.down(settings, console)
    return _verdict(console, demo, seconds, complete="events" in seconds, left=sorted(marked(folder)))


def _show(demo: _Demo, receiver: Receiver, settings: LocalSettings, samples: Path, seconds: dict[str, float]) -> None:
    console = demo.console
    language = _translates()
    receiver.secret = _register(demo.gateway, receiver.url)
    with _section(console, seconds, "transcribe"):
        _transcribe(demo, samples, language)
    with _section(console, seconds, "results"):
        _results(demo, language)
    with _section(console, seconds, "webhooks"):
        _webhooks(demo, receiver)
    with _section(console, seconds, "events"):
        _events(demo, environment(settings.home, settings)["SCRIBEWIRE_KAFKA"])


def _transcribe(demo: _Demo, samples: Path, language: str | None) -> None:
    columns = (TextColumn("{task.description:<14}"), BarColumn(30), TextColumn("{task.fields[said]}"))
    with Progress(*columns, TimeElapsedColumn(), console=demo.console, transient=True) as progress:
        threads = []
        for name in (*_SPEECH, _CORRUPT):
            options = {"translate": language} if language and name == _SPEECH[0] else {}
            task = progress.add_task(name, total=1.0, said="sending")
            work = (demo, samples / name, options, progress, task)
            threads.append(threading.Thread(target=_transcribe_one, args=work, daemon=True))
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + _JOB_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    for name in (*_SPEECH, _CORRUPT):
        status = demo.jobs.get(name, {}).get("status", "never accepted")
        wanted = "failed" if name == _CORRUPT else "completed"
        demo.promise(status == wanted, f"{name} is {status}, not {wanted}")


def _transcribe_one(demo: _Demo, file: Path, options: Mapping[str, Any], progress: Progress, task: TaskID) -> None:
    began, before = time.monotonic(), ""
    try:
        with Client(demo.gateway) as client:
            demo.jobs[file.name] = client.submit(file, options)
            for job in client.follow(str(demo.jobs[file.name]["id"])):
                demo.jobs[file.name] = job
                status = str(job["status"])
                done = 1.0 if status in TERMINAL else float(job["fraction"])
                progress.update(task, completed=done, said=f"{status} {job.get('detail') or ''}")
                if status != before:
                    stamp = f"{time.monotonic() - began:5.1f} s"
                    progress.console.print(f"  {stamp}  {file.name:<14} {status}")
                before = status
    except ScribewireError as error:
        demo.promise(False, f"{file.name}: {error}")


def _results(demo: _Demo, language: str | None) -> None:
    console = demo.console
    monologue, dialogue, video = _SPEECH
    with Client(demo.gateway) as client:

        def fetched(name: str, **form: str) -> str:
            if demo.jobs.get(name, {}).get("status") != "completed":
                return ""
            return client.transcript(str(demo.jobs[name]["id"]), **form).decode()

        _print(demo, f"{monologue} as text", fetched(monologue, format="txt"))
        _print(demo, f"{dialogue} as SRT", fetched(dialogue, format="srt"))
        _print(demo, f"{video} as text", fetched(video, format="txt"))
        if language is not None:
            _print(demo, f"{monologue} in Spanish", fetched(monologue, format="txt", language=language))
        else:
            console.print(
                "\nNo translation: Apertium is not installed (apt install apertium apertium-eng-spa)"
                " and OPENAI_API_KEY is not set."
            )
    error = demo.jobs.get(_CORRUPT, {}).get("error") or {}
    console.print(f"\n[bold]{_CORRUPT}[/] → {error.get('code')}: {escape(str(error.get('message')))}")
    demo.promise(error.get("code") and error.get("message"), f"{_CORRUPT} has an error with a code and a message")


def _print(demo: _Demo, title: str, text: str) -> None:
    demo.console.print(f"\n[bold]{title}[/]\n{escape(text.strip())}")
    demo.promise(text.strip(), f"{title} is empty")


def _register(gateway: Gateway, url: str) -> str:
    answer = httpx.post(
        f"{gateway.url}/v1/webhooks",
        json={"url": url},
        headers={"Authorization": f"Bearer {gateway.key}"},
        timeout=10.0,
    )
    answer.raise_for_status()
    return str(answer.json()["secret"])


def _webhooks(demo: _Demo, receiver: Receiver) -> None:
    wanted = {str(job["id"]): name for name, job in demo.jobs.items()}

    def announced() -> set[str]:
        return {str(body["data"]["id"]) for body in receiver.inbox.verified.values()}

    with demo.console.status("waiting for webhooks"):
        _wait(lambda: announced() >= set(wanted), _WEBHOOK_SECONDS)
    for identity, body in receiver.inbox.verified.items():
        name = wanted.get(str(body["data"]["id"]), "?")
        line = f"  {body['type']:<14} {name:<14} webhook-id {identity}, signature verified"
        demo.console.print(line, soft_wrap=True)
    demo.promise(announced() == set(wanted), f"{len(announced())} of {len(wanted)} jobs were announced by webhook")
    demo.promise(receiver.inbox.refused == 0, f"{receiver.inbox.refused} webhooks had a wrong signature")


def _events(demo: _Demo, bootstrap: str) -> None:
    found = asyncio.run(demo_events.everything(bootstrap))
    for line in demo_events.lines(found):
        demo.console.print(f"  {escape(line)}", soft_wrap=True)
    types = [followed.event.type for followed in found if followed.event is not None]
    for kind, number in {"transcript.completed": len(_SPEECH), "job.completed": len(_SPEECH), "job.failed": 1}.items():
        demo.promise(types.count(kind) >= number, f"{types.count(kind)} of {number} {kind} are on the log")


def _translates() -> str | None:
    return "es" if shutil.which("apertium") or os.environ.get("OPENAI_API_KEY") else None


def _clear(settings: LocalSettings, folder: Path) -> None:
    if folder.exists() and not Home(folder).lock_file.exists():
        msg = f"{folder} is not a demo's folder; move it away"
        raise FileExistsError(msg)
    launch.down(settings, Console(quiet=True))
    data = Home(folder).postgres
    if data.is_symlink():
        shutil.rmtree(data.resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def _section(console: Console, seconds: dict[str, float], title: str) -> Iterator[None]:
    console.rule(title, align="left")
    began = time.monotonic()
    try:
        yield
        seconds[title] = time.monotonic() - began
    finally:
        console.print()


def _verdict(
    console: Console, demo: _Demo | None, seconds: Mapping[str, float], *, complete: bool, left: list[str]
) -> int:
    console.rule("time", align="left")
    for title, spent in seconds.items():
        console.print(f"  {title:<18} {spent:6.1f} s")
    console.print(f"  {'together':<18} {sum(seconds.values()):6.1f} s")
    broken = [*(demo.broken if demo is not None else []), *(f"{part} still runs" for part in left)]
    if complete and not broken:
        console.print("[green]✓ everything was as promised")
        return 0
    for text in broken:
        console.print(f"[red]✗ {escape(text)}[/]")
    console.print("[red]the demo did not keep its promises")
    return 1
