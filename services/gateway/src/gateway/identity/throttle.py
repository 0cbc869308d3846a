"""Waiting times for those who guess, counted in PostgreSQL: right over many gateways, and over restarts.

An attempt is counted before it is judged, and only a success gives it back: so a thousand attempts at the same moment
are a thousand attempts. While a key has to wait, nothing is judged for it, and nothing is counted.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from gateway.callers import neighbourhood
from gateway.database import Database
from gateway.identity import rules
from gateway.problems import TOO_MANY, Problem

# Whole steps of decay since `at`, which advances by whole steps too: what is left of one counts for the next.
_DECAYED = "floor(greatest(extract(epoch FROM clock_timestamp() - t.at)::float8, 0) / $6::float8)"
_LEFT = f"greatest(t.attempts - least({_DECAYED}, t.attempts)::integer, 0)"

# The clock is PostgreSQL's. A wait that ends later than any wait can is of a clock that was set back: it is over.
TAKE = f"""
INSERT INTO throttles AS t (key, attempts, at, until)
VALUES ($1, 1, clock_timestamp(),
        CASE WHEN $2::integer <= 1 THEN clock_timestamp() + least($4::float8, $3::float8) * interval '1 second' END)
ON CONFLICT (key) DO UPDATE
   SET attempts = CASE WHEN t.at < clock_timestamp() - $5::interval THEN 1 ELSE {_LEFT} + 1 END,
       at = CASE WHEN $6::float8 = 'Infinity' OR t.at < clock_timestamp() - $5 THEN clock_timestamp()
                 ELSE least(clock_timestamp(), t.at + {_DECAYED} * $6 * interval '1 second') END,
       until = CASE WHEN t.at >= clock_timestamp() - $5::interval AND {_LEFT} + 1 >= $2
                    THEN clock_timestamp() + least($4, $3 * 2 ^ least({_LEFT} + 1 - $2, 30)) * interval '1 second'
               END
 WHERE t.until IS NULL OR t.until <= clock_timestamp() OR t.until > clock_timestamp() + $4 * interval '1 second'
RETURNING attempts"""  # noqa: S608 - constants

WAIT = "SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM throttles WHERE key = $1"

GIVE_BACK = "UPDATE throttles SET attempts = greatest(attempts - 1, 0), until = NULL WHERE key = ANY($1::text[])"

FORGET = "DELETE FROM throttles WHERE key = ANY($1::text[])"

FORGET_OLD = "DELETE FROM throttles WHERE at < clock_timestamp() - interval '1 day'"


_FROM = "login from "


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may be tried under one key.

    Parameters
    ----------
    key
        What is counted.
    free
        Attempts until the first wait.
    first
        Seconds of the first wait; each further one is twice as long.
    longest
        Seconds of the longest wait.
    forgotten
        Time without an attempt after which it begins anew.
    decay
        Seconds after which one attempt counts no more; none does before the others, unless said.
    """

    key: str
    free: int
    first: float = 1.0
    longest: float = 900.0
    forgotten: timedelta = timedelta(hours=1)
    decay: float = math.inf


def login_limits(who: str, address: str, *, at_home: bool) -> list[Limit]:
    """The limits of one attempt to log in.

    One caller guessing at one account waits longest, one caller guessing at many soon as well; of those one attempt a
    minute is forgotten, as a whole office may be one caller, and mistypes all day. Many callers guessing at one account
    make strangers to it wait, though never over a minute; a caller from where its person logged in within the last 30
    days does not wait for them. So nobody keeps another out for long.

    Parameters
    ----------
    who
        The key of the name or address that was typed.
    address
        Where the caller is.
    at_home
        Whether that account was logged in to from there lately.
    """
    # What is typed as a name may be somebody's password, which must not lie about.
    name = sha256(who.encode()).hexdigest()
    place = neighbourhood(address)
    limits = [
        Limit(f"login {name} {place}", free=5),
        Limit(f"{_FROM}{place}", free=30, decay=60.0),
    ]
    if not at_home:
        limits.append(Limit(f"login {name}", free=20, longest=60.0))
    return limits


def mail_limit(email: str) -> Limit:
    """The limit of mails to one address: three at once, then ever fewer, so that no stranger fills a mailbox."""
    # Whom mails go to is told nobody who reads the table: a row may be of somebody who has no account.
    name = sha256(rules.key(email).encode()).hexdigest()
    return Limit(f"mail {name}", 3, first=300.0, longest=3600.0, forgotten=timedelta(hours=6))


class Throttle:
    """Counts attempts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, limits: Iterable[Limit]) -> None:
        """Count one attempt under every limit, or under none.

        Raises
        ------
        Problem
            429 with ``Retry-After``, when one has to wait.
        """
        async with self._database.connection() as connection:
            # One order for all, so that two never wait for each other.
            ordered = sorted(limits, key=lambda limit: limit.key)
            if (wait := await _take(connection, ordered)) is not None:
                raise too_many(wait)

    async def allowed(self, limit: Limit) -> bool:
        """Count one attempt; False when it comes too early."""
        async with self._database.connection() as connection:
            return await _take(connection, [limit]) is None

    async def succeeded(self, limits: Iterable[Limit]) -> None:
        """Give an attempt back; what the same caller did wrong for the same account before is forgotten."""
        keys = [limit.key for limit in limits]
        async with self._database.connection() as connection:
            await connection.execute(FORGET, keys[:1])
            await connection.execute(GIVE_BACK, sorted(keys[1:]))

    async def forget(self, names: Iterable[str], address: str) -> None:
        """Let somebody try at once, from where they are, who has shown in another way who they are."""
        limits = [limit for name in names for limit in login_limits(name, address, at_home=True)]
        own = sorted(limit.key for limit in limits if not limit.key.startswith(_FROM))
        async with self._database.connection() as connection:
            await connection.execute(FORGET, own)

    async def tidy(self) -> None:
        """Forget what counts no more."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)


def too_many(seconds: float) -> Problem:
    """The 429 problem."""
    wait = max(1, math.ceil(seconds))
    return Problem(
        TOO_MANY, f"Too many attempts; try again in {wait} s.", headers={"Retry-After": str(wait)}, retry_after=wait
    )


class _Wait(Exception):  # noqa: N818 - ends a transaction, and is no error
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


async def _take(connection: Any, limits: Iterable[Limit]) -> float | None:
    """None when every limit allowed it; otherwise the seconds to wait, and nothing was counted."""
    try:
        async with connection.transaction():
            for limit in limits:
                await _count(connection, limit)
    except _Wait as wait:
        return wait.seconds
    return None


async def _count(connection: Any, limit: Limit) -> None:
    arguments = (limit.key, limit.free, limit.first, limit.longest, limit.forgotten, limit.decay)
    if await connection.fetchval(TAKE, *arguments) is None:
        raise _Wait(await connection.fetchval(WAIT, limit.key) or 0.0)
