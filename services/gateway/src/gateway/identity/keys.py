"""API keys: made, listed, rotated, revoked, and known again when one is shown."""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from gateway.batched import Batched
from gateway.identity import key_format
from gateway.identity.key_models import ApiKey, KeyScope
from gateway.identity.key_store import KeyRow, KeyStore
from gateway.identity.refused import Refused
from gateway.principal import Principal, allowed
from gateway.repeats import Asked


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who was let in, and until when at most (seconds since the epoch; infinite for no end)."""

    principal: Principal
    ends: float = float("inf")


class Keys:
    """The API keys.

    Parameters
    ----------
    store
        Keeps them.
    pepper
        Secret from outside the database under which digests are made; None for plain SHA-256.
    changed
        Told the id of a key that was rotated or revoked here, so that nobody goes on believing in it.
    """

    def __init__(self, *, store: KeyStore, pepper: str | None, changed: Callable[[UUID], None]) -> None:
        self._store = store
        self._pepper = pepper.encode() if pepper else None
        self._changed = changed
        self._found = Batched(store.by_prefix)

    async def check(self, text: str) -> Admitted:
        """Whose key this is; raises `Refused`, and `StoreUnavailable` when nobody can tell."""
        prefix = key_format.prefix_of(text)
        if prefix is None:
            raise Refused("key_malformed")
        row = await self._found.find(prefix)
        if row is None or not await self._same(row, text):
            raise Refused("key_unknown")
        if row.revoked:
            raise Refused("key_revoked")
        ends = row.expires_at.timestamp() if row.expires_at else float("inf")
        if ends <= datetime.now(UTC).timestamp():
            raise Refused("key_expired")
        if not row.active:
            raise Refused("account_inactive")
        scopes = allowed(row.role, row.scopes)
        return Admitted(
            Principal(
                row.owner,
                "key",
                scopes,
                role="admin" if "admin" in scopes else "user",  # An admin's key is an admin only if it was meant to be.
                plan=row.plan,
                credential=row.id,
            ),
            ends,
        )

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: Iterable[KeyScope],
        expires_at: datetime | None,
        asked: Asked | None = None,
    ) -> tuple[ApiKey, str] | None:
        """Make a key.

        Parameters
        ----------
        asked
            Which one it shall be, where that is said.

        Returns
        -------
        tuple or None
            The key and its text, which is nowhere else; None when the owner has as many as there may be, or the one
            that was asked for.
        """
        new = key_format.make()
        asked = asked or Asked(uuid4(), None)
        key = ApiKey(
            id=asked.id,
            prefix=new.prefix,
            name=name,
            scopes=sorted(set(scopes)),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        with_key, digest = _made_with(principal), self._digest(new.text)
        added = await self._store.add(principal.owner, key, digest, made_with=with_key, asked=asked.digest)
        return None if added is None else (added, new.text)

    async def asked_for(self, owner: str, key: UUID) -> bytes | None:
        """Hash of the request that made a key; None when there is no such key."""
        return await self._store.asked_for(owner, key)

    async def of_owner(self, owner: str) -> list[ApiKey]:
        """An owner's keys that were not revoked, newest first."""
        return await self._store.of_owner(owner)

    async def valid(self, owner: str, key: UUID) -> ApiKey | None:
        """A valid key of an owner."""
        return await self._store.valid(owner, key)

    async def rotate(self, principal: Principal, old: ApiKey, grace: timedelta) -> tuple[ApiKey, str, datetime] | None:
        """Make a key in place of a valid one, with as long a life; the old one stays valid for the grace.

        Made with a key, be it the old one itself, it ends with that key at the latest.

        Returns
        -------
        tuple or None
            The new key, its text, and when the old one ends; None when the old one was rotated before.

        Raises
        ------
        gateway.identity.key_store.Full
            There are as many keys as there may be beside the old one.
        """
        new, now = key_format.make(), datetime.now(UTC)
        life = old.expires_at - old.created_at if old.expires_at else None
        key = ApiKey(
            id=uuid4(),
            prefix=new.prefix,
            name=old.name,
            scopes=old.scopes,
            created_at=now,
            expires_at=now + life if life else None,
        )
        done = await self._store.rotate(
            *(principal.owner, old.id, key, self._digest(new.text)), until=now + grace, made_with=_made_with(principal)
        )
        if done is None:
            return None
        self._changed(old.id)
        return done[0], new.text, done[1]

    async def revoke(self, owner: str, key: UUID) -> bool:
        """Revoke a key; False when the owner has none of this id."""
        done = await self._store.revoke(owner, key)
        self._changed(key)
        return done

    def _digest(self, text: str) -> bytes:
        return key_format.digest(text, self._pepper)

    async def _same(self, row: KeyRow, text: str) -> bool:
        if hmac.compare_digest(row.digest, self._digest(text)):
            return True
        if self._pepper is None:
            return False
        # Made before there was a pepper: known by the plain digest this once, and by the peppered one from now on.
        plain = key_format.digest(text, None)
        if not hmac.compare_digest(row.digest, plain):
            return False
        await self._store.replace_digest(row.id, plain, self._digest(text))
        return True


def _made_with(principal: Principal) -> UUID | None:
    return principal.credential if principal.via == "key" else None
