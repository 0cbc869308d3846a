"""A service of one leased stage in a process of its own, for tests that kill and stop it.

Arguments: bootstrap, folder of leases, file of notes, its name, slots. The blob name of an event says what to do:
``hold:FILE`` (work until that file is there) or ``exit`` (the process dies at once). Notes are lines of what happened:
start, end or died; event id; name.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from common.bus import Context, EachStage
from common.events import Event, SegmentReady
from common.leases.folder import FolderLeases
from common.service import Service, serve
from support.buskit import SERVICE, settings, transcribed
from support.waiting import eventually


def main(bootstrap: str, leases: str, notes: str, name: str, slots: str) -> None:
    """Run until SIGTERM."""

    def note(what: str, event: Event) -> None:
        with Path(notes).open("a") as file:
            file.write(f"{what} {event.id} {name}\n")

    async def handler(event: SegmentReady, _context: Context) -> list[Event]:
        action, _, file = event.audio.name.partition(":")
        note("start", event)
        if action == "exit":
            note("died", event)
            os._exit(9)
        if action == "hold":
            await eventually(Path(file).exists, 120)
        note("end", event)
        return [transcribed(event)]

    @asynccontextmanager
    async def build() -> AsyncIterator[Service]:
        own = settings(bootstrap, lease_ttl=2.0)
        stage = EachStage(event=SegmentReady, handler=handler, concurrency=int(slots), leased=True)
        yield Service(name=SERVICE, settings=own, stages=[stage], leases=FolderLeases(Path(leases), ttl=own.lease_ttl))

    serve(build)


if __name__ == "__main__":
    main(*sys.argv[1:])
