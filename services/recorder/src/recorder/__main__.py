"""`python -m recorder [serve|migrate|rebuild]`: where the recorder is joined."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from common.blobs import BlobsUnavailable
from common.blobs.open import open_blobs
from common.bus.producer import Producer
from common.bus.stage import BatchStage
from common.db.away import AWAY
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.errors import Transient
from common.logs import configure
from common.service import Service, serve
from recorder.accounts import AccountEraser
from recorder.accountstore import AccountStore
from recorder.announce import Announcer
from recorder.erase import Eraser
from recorder.handler import Record
from recorder.rebuild import rebuild
from recorder.settings import Settings
from recorder.spoken import Spoken
from recorder.store import Store
from recorder.topics import LIVE

_NOT_NOW: tuple[type[BaseException], ...] = (Transient, BlobsUnavailable, RuntimeError, *AWAY)
"""What ends a rebuild with a word instead of a trace: a part is away, or another rebuild is under way."""


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the recorder needs."""
    settings = Settings()
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(open_blobs(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        store = Store(pool)
        producer = Producer(settings.kafka, service="recorder")
        await producer.start()
        stack.push_async_callback(producer.stop)
        announcer = Announcer(projection=store, log=producer)
        eraser = Eraser(projection=store, blobs=blobs, log=producer)
        accounts = AccountEraser(accounts=AccountStore(pool), blobs=blobs, log=producer)
        stage = BatchStage(
            events=LIVE,
            handler=Record(projection=store, spoken=Spoken(blobs), erasing=eraser.wake),
            acknowledged=announcer.acknowledged,
            max_records=settings.batch,
        )
        yield Service(
            name="recorder",
            settings=settings,
            stages=[stage],
            background=[announcer.run, eraser.run, accounts.run],
            producer=producer,
        )


def main() -> int:
    """Run the command that the first argument names; without one, serve. The exit status: 2 for another word."""
    settings = Settings()
    match sys.argv[1:]:
        case [] | ["serve"]:
            serve(build)
        case ["migrate"]:
            try:
                asyncio.run(migrate(settings.database_url, wait=settings.migrate_wait))
            except TimeoutError as error:
                sys.stderr.write(f"migrate: {error}\n")
                return 1
        case ["rebuild"]:
            configure("recorder", settings.log_level)
            return _rebuild(settings)
        case _:
            sys.stderr.write("usage: python -m recorder [serve|migrate|rebuild]\n")
            return 2
    return 0


def _rebuild(settings: Settings) -> int:
    told = -1

    def say(read: int, total: int) -> None:
        nonlocal told
        percent = 100 * read // max(total, 1)
        if percent > told:
            told = percent
            print(f"read {read} of {total} records", flush=True)

    try:
        done = asyncio.run(rebuild(settings, progress=say))
    except _NOT_NOW as error:
        sys.stderr.write(f"rebuild: {str(error) or type(error).__name__}\n")
        return 1
    print(
        f"rebuilt {done.jobs} jobs from {done.events} events;"
        f" announced {done.announced} and erased {done.erased} that were left"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
