"""The keys that our own tokens are signed with: made by themselves, changed every 30 days, known to every gateway.

A new key is stored a day before it signs, so that every gateway knows it by then; the one before verifies until the
last of its tokens is gone. Tokens are verified in memory: PostgreSQL is asked when the gateway starts, every few
minutes, and at most once a minute for a key id that is not known.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from joserfc.jwk import ECKey

from common.crypt import Undecipherable
from gateway.database import StoreUnavailable
from gateway.identity.refused import Refused
from gateway.identity.signing_store import SigningKeyRow

log = structlog.get_logger(__name__)

SIGNS = timedelta(days=30)
EARLY = timedelta(days=1)
"""How long before its first signature a key is stored."""
OUTLIVES = timedelta(hours=1)
"""How long a key verifies after its last signature; longer than any token lives."""

RELOAD_EVERY = 300.0
RELOAD_UNKNOWN = 60.0
RETRY = 2.0


class Sealing(Protocol):
    """Encrypts what is stored (`common.crypt.Crypt`)."""

    def encrypt(self, text: str, /) -> str:
        """The text, sealed."""

    def decrypt(self, sealed: str, /) -> str:
        """The text again; raises `common.crypt.Undecipherable`."""


class Keeping(Protocol):
    """Where keys are kept (`gateway.identity.signing_store.SigningStore`)."""

    async def ensure(
        self, now: datetime, due: Callable[[list[SigningKeyRow]], SigningKeyRow | None]
    ) -> list[SigningKeyRow]:
        """See `SigningStore.ensure`."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its private part."""

    kid: str
    key: ECKey
    signs_until: float
    verifies_until: float


class SigningKeys:
    """Every key that verifies, in memory; and the one that signs now.

    Parameters
    ----------
    store
        Shared by all gateways.
    crypt
        Seals the private parts.
    now
        Seconds since the epoch.
    """

    def __init__(self, *, store: Keeping, crypt: Sealing, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._crypt = crypt
        self._now = now
        self._keys: dict[str, SigningKey] = {}
        self._loading: asyncio.Task[None] | None = None
        self._asked = float("-inf")

    async def signer(self) -> SigningKey:
        """The key to sign with; raises `StoreUnavailable` when there is none and PostgreSQL is away."""
        if (found := self._signing()) is None:
            await self.load()
            found = self._signing()
        if found is None:
            raise StoreUnavailable
        return found

    async def verifier(self, kid: str) -> ECKey:
        """The key with this id.

        Raises
        ------
        Refused
            There is none, as far as was known a minute ago.
        StoreUnavailable
            None was loaded yet, so nobody can tell.
        """
        if (found := self._valid(kid)) is not None:
            return found
        if self._now() - self._asked >= RELOAD_UNKNOWN or not self._keys:
            try:
                await self.load()
            except StoreUnavailable:
                if not self._keys:
                    raise
        if (found := self._valid(kid)) is not None:
            return found
        raise Refused("unknown_key")

    async def load(self) -> None:
        """Read the keys, and make one if it is time; whoever asks meanwhile waits for the same answer."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._loaded)
        await asyncio.shield(self._loading)

    async def keep(self) -> None:
        """Load now and again, for ever."""
        while True:
            try:
                await self.load()
                pause = RELOAD_EVERY
            except StoreUnavailable:
                pause = RETRY
            except Exception:
                log.exception("signing_keys_not_loaded")
                pause = RETRY
            await asyncio.sleep(pause)

    async def _load(self) -> None:
        self._asked = self._now()
        rows = await self._store.ensure(datetime.fromtimestamp(self._now(), UTC), self._due)
        self._keys = {row.kid: key for row in rows if (key := self._opened(row)) is not None}

    def _opened(self, row: SigningKeyRow) -> SigningKey | None:
        """The key of a row; None where the row was not sealed by us: nobody plants a key by writing to the table."""
        known = self._keys.get(row.kid)
        try:
            key = known.key if known else ECKey.import_key(json.loads(self._crypt.decrypt(row.private_key)))
        except Undecipherable:
            log.exception("signing_key_undecipherable", kid=row.kid)
            return None
        return SigningKey(row.kid, key, row.signs_until.timestamp(), row.verifies_until.timestamp())

    def _loaded(self, done: asyncio.Task[None]) -> None:
        self._loading = None
        if not done.cancelled():
            done.exception()  # Whoever waits gets it; where nobody does any more, it is no news.

    def _signing(self) -> SigningKey | None:
        # The oldest that may sign: the next one waits until every gateway has heard of it.
        now = self._now()
        return min((k for k in self._keys.values() if k.signs_until > now), key=_age, default=None)

    def _valid(self, kid: str) -> ECKey | None:
        found = self._keys.get(kid)
        return found.key if found is not None and found.verifies_until > self._now() else None

    def _due(self, rows: list[SigningKeyRow]) -> SigningKeyRow | None:
        now = datetime.fromtimestamp(self._now(), UTC)
        last = max((row.signs_until for row in rows if self._opened(row) is not None), default=now)
        if last > now + EARLY:
            return None
        begins = max(last, now)
        kid = secrets.token_urlsafe(12)
        key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
        log.info("signing_key_made", kid=kid, signs_from=begins.isoformat())
        return SigningKeyRow(
            kid=kid,
            private_key=self._crypt.encrypt(json.dumps(key.as_dict(private=True))),
            public_jwk=dict(key.as_dict(private=False)),
            created_at=now,
            signs_until=begins + SIGNS,
            verifies_until=begins + SIGNS + OUTLIVES,
        )


def _age(key: SigningKey) -> tuple[float, str]:
    return key.signs_until, key.kid
