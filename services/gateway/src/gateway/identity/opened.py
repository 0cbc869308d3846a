"""Keys, tokens and the door, opened and joined; what they do in the background goes on until they are closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from common.crypt import Crypt
from gateway.database import Database
from gateway.door import OperatorDoor
from gateway.identity.audit import AuditLog
from gateway.identity.door import Accounts, IdentityDoor, Sessions
from gateway.identity.ended import EndedIdentities
from gateway.identity.foreign_logins import ForeignLogins
from gateway.identity.foreign_rights import ForeignRights
from gateway.identity.identities import Identities
from gateway.identity.jwks import Jwks, is_safe
from gateway.identity.key_store import KeyStore
from gateway.identity.keys import Keys
from gateway.identity.keys_api import KeysApi, StreamTokensApi
from gateway.identity.oidc import Oidc
from gateway.identity.refused import Refusals
from gateway.identity.seen import Seen
from gateway.identity.signing import SigningKeys
from gateway.identity.signing_store import SigningStore
from gateway.identity.tokens import Tokens
from gateway.identity.uses import Uses
from gateway.problems import Handler
from gateway.settings import GatewaySettings


@dataclass(frozen=True)
class OpenedDoor:
    """The door and what stands beside it.

    ``seen.forget(credential)`` makes this gateway ask again for a key or a session at once.
    """

    door: IdentityDoor
    tokens: Tokens
    seen: Seen
    handlers: dict[str, Handler]


@asynccontextmanager
async def open_door(
    settings: GatewaySettings,
    *,
    database: Database,
    crypt: Crypt,
    audit: AuditLog,
    ended: EndedIdentities,
    sessions: Sessions,
    accounts: Accounts,
) -> AsyncIterator[OpenedDoor]:
    """Join everything that lets people in; PostgreSQL and the other issuer may be away."""
    operator = OperatorDoor(settings.operator_key_file)
    async with contextlib.AsyncExitStack() as opened:
        seen = Seen()
        store = KeyStore(database)
        pepper, legacy = settings.key_pepper, settings.legacy_api_key
        keys = Keys(store=store, pepper=pepper.get_secret_value() if pepper else None, changed=seen.forget)
        uses = Uses(store)
        opened.push_async_callback(uses.flush)
        refusals = Refusals(audit)
        opened.push_async_callback(refusals.close)
        signing = SigningKeys(store=SigningStore(database), crypt=crypt)
        tokens = Tokens(signing)
        oidc = await _open_oidc(opened, settings)
        for work in (signing.keep(), uses.keep()):
            _in_background(opened, work)
        door = IdentityDoor(
            operator=operator,
            legacy=legacy.get_secret_value() if legacy else None,
            keys=keys,
            uses=uses,
            tokens=tokens,
            oidc=oidc,
            identities=Identities(database, ended),
            logins=ForeignLogins(database, audit),
            sessions=sessions,
            accounts=accounts,
            seen=seen,
            refusals=refusals,
            audit=audit,
        )
        yield OpenedDoor(door, tokens, seen, _handlers(KeysApi(keys=keys, audit=audit), StreamTokensApi(tokens)))


def _handlers(keys: KeysApi, streams: StreamTokensApi) -> dict[str, Handler]:
    handlers: dict[str, Handler] = {"create_stream_token": streams.create}
    for prefix in ("", "auth_"):
        handlers |= {
            f"{prefix}create_key": keys.create,
            f"{prefix}list_keys": keys.list,
            f"{prefix}rotate_key": keys.rotate,
            f"{prefix}revoke_key": keys.revoke,
        }
    return handlers


async def _open_oidc(opened: contextlib.AsyncExitStack, settings: GatewaySettings) -> Oidc | None:
    if settings.issuer is None or settings.audience is None:
        return None
    if not is_safe(settings.issuer):
        msg = "the issuer of tokens must have an https address"
        raise ValueError(msg)
    rights = ForeignRights.read(settings.oidc_scopes, settings.oidc_scope_names)
    http = await opened.enter_async_context(aiohttp.ClientSession())
    keys = Jwks(settings.issuer, http=http, seconds=settings.auth0_request_timeout)
    opened.push_async_callback(keys.close)
    _in_background(opened, keys.warm())
    return Oidc(issuer=settings.issuer, audience=settings.audience, keys=keys, rights=rights)


def _in_background(opened: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    opened.push_async_callback(end)
