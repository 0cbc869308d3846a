"""The rooms of a gateway that need PostgreSQL alone, behind its own door and over HTTP: who comes in, and as whom."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
from aiohttp import web
from pydantic import SecretStr

from common.blobs import Blobs
from common.crypt import Crypt
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.app import application
from gateway.database import Database
from gateway.identity.opened import open_door
from gateway.identity.room import Identity
from gateway.principal import owner_of
from gateway.privacy.room import Privacy
from gateway.problems import Handler
from gateway.routes import ROUTES
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.walls.room import Walls
from support.gateway import KEY, encryption_keys


@dataclass(frozen=True)
class Lobby:
    """It serves at ``url``; ``pool`` leads to its rows."""

    url: str
    pool: asyncpg.Pool
    identity: Identity
    crypt: Crypt


@asynccontextmanager
async def lobby(dsn: str, folder: Path, **settings: Any) -> AsyncIterator[Lobby]:
    """Serve on a free port until the block ends; what has no room here answers 202 with the owner it let in."""
    key_file = folder / "operator.key"
    key_file.write_text(KEY)
    known: dict[str, Any] = {
        "operator_key_file": key_file,
        "encryption_keys_file": encryption_keys(folder),
        "database_url": SecretStr(dsn),
        "trusted_proxies": "127.0.0.0/8",
        "delete_seconds": 0.01,
        "_env_file": None,
    }
    set_to = GatewaySettings(**(known | settings))
    async with AsyncExitStack() as opened:
        pool = await opened.enter_async_context(open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)))
        database, crypt = Database(pool, seconds=10), Crypt.of_file(set_to.encryption_keys_file)
        identity = Identity(database=database, crypt=crypt, settings=set_to)
        opened.push_async_callback(identity.close)
        entrance = await opened.enter_async_context(
            open_door(
                set_to,
                database=database,
                crypt=crypt,
                audit=identity.audit,
                ended=identity.ended,
                sessions=identity.sessions,
                accounts=identity.accounts,
            )
        )
        identity.sessions.when_ended(entrance.seen.forget)
        walls = Walls(database=database, settings=set_to, engines=(), audit=identity.audit)
        privacy = Privacy(
            database=database,
            store=Store(database),
            blobs=cast("Blobs", None),  # nobody exports here
            crypt=crypt,
            audit=identity.audit,
            ended=identity.ended,
            not_let_in=entrance.seen.forget_owner,
            settings=set_to,
        )
        rooms: dict[str, Handler] = {
            **dict.fromkeys((route.operation for route in ROUTES), _answer),
            **identity.handlers(entrance.tokens),
            **entrance.handlers,
            **walls.handlers(),
            **privacy.handlers,
        }
        runner = web.AppRunner(application(identity.consent.guarded(rooms), entrance.door))
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Lobby(f"http://127.0.0.1:{runner.addresses[0][1]}", pool, identity, crypt)


async def _answer(request: web.Request) -> web.Response:
    return web.json_response({"owner": owner_of(request)}, status=202)
