"""Sessions: one for each login, alive for a time after its last activity, in PostgreSQL and so beyond any restart."""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from common.crypt import Crypt, Undecipherable
from gateway.database import Database
from gateway.identity.refresh import RefreshToken

OPEN = """
INSERT INTO sessions (id, account_id, created_at, last_seen, expires_at, family_hash, refresh_hash, user_agent, ip)
VALUES ($1, $2, now(), now(), now() + $3::interval, $4, $5, $6, $7)"""

# Written at most once a minute, so that a busy session costs no write with each request; more often where sessions
# are so short that a minute counts.
ALIVE = """
WITH alive AS (
    SELECT id, last_seen FROM sessions WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
), touched AS (
    UPDATE sessions AS s SET last_seen = now(), expires_at = now() + $2::interval
      FROM alive
     WHERE s.id = alive.id AND s.revoked_at IS NULL
       AND alive.last_seen < now() - least(interval '1 minute', $2::interval / 20)
)
SELECT EXISTS (SELECT FROM alive)"""

HOLD = """
SELECT account_id, family_hash, refresh_hash, previous_hash, successor,
       revoked_at IS NULL AND expires_at > clock_timestamp() AS alive,
       rotated_at > clock_timestamp() - $2::interval AS just_rotated
  FROM sessions WHERE id = $1 FOR UPDATE"""

ROTATE = """
UPDATE sessions
   SET previous_hash = refresh_hash, refresh_hash = $2, successor = $3, rotated_at = clock_timestamp(),
       last_seen = now(), expires_at = now() + $4::interval
 WHERE id = $1"""

REVOKE = """
UPDATE sessions SET revoked_at = now(), revoked_reason = $2, successor = NULL WHERE id = $1 AND revoked_at IS NULL"""

REVOKE_ALL = """
UPDATE sessions SET revoked_at = now(), revoked_reason = $2, successor = NULL
 WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now() AND id IS DISTINCT FROM $3
RETURNING id"""

# A session that has ended is kept a while: it tells from where its person usually comes.
FORGET_OLD = """
DELETE FROM sessions WHERE expires_at < now() - interval '30 days' OR revoked_at < now() - interval '30 days'"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What showing a refresh token led to; ``token`` is None when it was a used one and the session was ended."""

    account: UUID
    session: UUID
    token: RefreshToken | None


class SessionStore:
    """Sessions in PostgreSQL, whose clock is the clock of everything here.

    Parameters
    ----------
    lasts
        How long a session lives on after its last activity.
    grace
        How long a refresh token that was just used may be shown again.
    """

    def __init__(
        self,
        database: Database,
        crypt: Crypt,
        *,
        lasts: timedelta = timedelta(hours=24),
        grace: timedelta = timedelta(seconds=10),
    ) -> None:
        self._database = database
        self._crypt = crypt
        self._lasts = lasts
        self._grace = grace
        self._told: list[Callable[[UUID], None]] = []

    def when_ended(self, tell: Callable[[UUID], None]) -> None:
        """Call ``tell`` with each session that is ended here from now on."""
        self._told.append(tell)

    async def open(self, account: UUID, *, agent: str | None, address: str) -> RefreshToken:
        """Begin a session; its id and first refresh token are in the answer."""
        token = RefreshToken.new(uuid4())
        async with self._database.connection() as connection:
            await connection.execute(
                OPEN, token.session, account, self._lasts, token.family_hash, token.hash, agent, address
            )
        return token

    async def alive(self, session: UUID) -> bool:
        """Whether a session goes on; asking is activity."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(ALIVE, session, self._lasts))

    async def rotate(self, shown: RefreshToken) -> Rotation | None:
        """Exchange a refresh token for its successor; None when it is no token of a living session.

        A token is exchanged once. Shown again it means that two hold it, of whom one is a thief, and nobody can tell
        which: the session ends for both, and they learn it by having to log in.

        A client whose answer was lost on the way shows its token again as well. For ``grace`` it is given the very
        successor that the first exchange made, no second one, and the session goes on. That opens no door: at any
        time there is one token that can be exchanged, whoever holds it; a thief with the old token gets in these
        seconds no more than the theft of the new one would have given, and as soon as thief and owner have both gone
        on from it, one of them shows a used token and the session ends. The grace counts from the first exchange and
        is not prolonged by repeating; once the successor was itself exchanged there is none. The successor is kept
        encrypted, with a key that is not in the database.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(HOLD, shown.session, self._grace)
            if row is None or not hmac.compare_digest(row["family_hash"], shown.family_hash) or not row["alive"]:
                return None
            if hmac.compare_digest(row["refresh_hash"], shown.hash):
                token = shown.next()
                sealed = self._crypt.encrypt(token.text)
                await connection.execute(ROTATE, shown.session, token.hash, sealed, self._lasts)
                return Rotation(row["account_id"], shown.session, token)
            again = hmac.compare_digest(row["previous_hash"] or b"", shown.hash) and row["just_rotated"]
            if again and (same := self._said(row["successor"])) is not None:
                return Rotation(row["account_id"], shown.session, same)
            await connection.execute(REVOKE, shown.session, "a used refresh token was shown again")
            self._tell(shown.session)
            return Rotation(row["account_id"], shown.session, None)

    async def revoke(self, session: UUID, reason: str) -> None:
        """End a session; harmless when it has ended."""
        async with self._database.connection() as connection:
            await connection.execute(REVOKE, session, reason)
        self._tell(session)

    async def revoke_all(self, account: UUID, reason: str, *, save: UUID | None = None) -> int:
        """End every session of an account, save one; how many that were."""
        async with self._database.connection() as connection:
            ended = [row["id"] for row in await connection.fetch(REVOKE_ALL, account, reason, save)]
        self.tell_ended(ended)
        return len(ended)

    def tell_ended(self, sessions: Iterable[UUID]) -> None:
        """Pass on that these were ended, here or in somebody else's transaction that is committed."""
        for session in sessions:
            self._tell(session)

    async def tidy(self) -> None:
        """Forget sessions that ended long ago."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)

    def _tell(self, session: UUID) -> None:
        for tell in self._told:
            tell(session)

    def _said(self, sealed: str | None) -> RefreshToken | None:
        try:
            return RefreshToken.read(self._crypt.decrypt(sealed)) if sealed is not None else None
        except Undecipherable:
            return None
