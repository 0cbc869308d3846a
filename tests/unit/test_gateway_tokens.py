"""Our own tokens: one algorithm, one kind for one purpose, keys that change by themselves and are shared."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from common.crypt import Crypt
from gateway.database import StoreUnavailable
from gateway.identity import compact
from gateway.identity.refused import Refused
from gateway.identity.signing import EARLY, SIGNS, SigningKeys
from gateway.identity.signing_store import SigningKeyRow
from gateway.identity.tokens import ACCESS_SECONDS, LEEWAY, AccessClaims, Tokens
from support.fake_oidc import segment
from support.waiting import eventually

DAY = timedelta(days=1).total_seconds()


@dataclass
class Shelf:
    """The table of signing keys, in memory; it may be away, and counts how often it was asked."""

    rows: list[SigningKeyRow] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    async def ensure(
        self, now: datetime, due: Callable[[list[SigningKeyRow]], SigningKeyRow | None]
    ) -> list[SigningKeyRow]:
        """As `SigningStore` does."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable
        self.rows = [row for row in self.rows if row.verifies_until > now]
        if (new := due(self.rows)) is not None:
            self.rows.append(new)
        return self.rows


@dataclass(frozen=True)
class Account:
    """Somebody."""

    id: UUID


class Gateway:
    """One gateway's tokens, on a clock that a test moves."""

    def __init__(self, shelf: Shelf, crypt: Crypt, clock: "Clock") -> None:
        self.keys = SigningKeys(store=shelf, crypt=crypt, now=clock.now)
        self.tokens = Tokens(self.keys, now=clock.now)

    async def token(self) -> str:
        """An access token."""
        return (await self.tokens.issue(Account(uuid4()), uuid4()))[0]

    async def verify(self, token: str) -> AccessClaims:
        """Verify as the door does."""
        return await self.tokens.verify(compact.read(token))

    async def refused(self, token: str) -> str:
        """Why a token is refused."""
        with pytest.raises(Refused) as refused:
            await self.verify(token)
        return refused.value.reason


class Clock:
    """Seconds since the epoch."""

    def __init__(self) -> None:
        self.at = time.time()

    def now(self) -> float:
        """Now."""
        return self.at


@pytest.fixture
def crypt() -> Crypt:
    return Crypt([Fernet.generate_key().decode()])


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(shelf: Shelf, crypt: Crypt, clock: Clock) -> Gateway:
    return Gateway(shelf, crypt, clock)


@pytest.fixture
def there(shelf: Shelf, crypt: Crypt, clock: Clock) -> Gateway:
    return Gateway(shelf, crypt, clock)


async def test_a_token_says_whose_it_is_and_of_which_session(here: Gateway, clock: Clock) -> None:
    account, session = Account(uuid4()), uuid4()
    token, seconds = await here.tokens.issue(account, session)
    assert seconds == ACCESS_SECONDS <= 15 * 60
    found = compact.read(token)
    assert dict(found.header) == {"alg": "ES256", "kid": found.kid, "typ": "at+jwt"}
    assert set(found.claims) == {"iss", "aud", "sub", "sid", "iat", "exp"}
    claims = await here.verify(token)
    assert claims == AccessClaims("access", str(account.id), session, int(clock.at) + ACCESS_SECONDS + LEEWAY)


async def test_a_token_ends(here: Gateway, clock: Clock) -> None:
    token = await here.token()
    clock.at += ACCESS_SECONDS + LEEWAY + 2
    assert await here.refused(token) == "exp"


async def test_a_stream_token_is_of_another_type_and_short(here: Gateway, clock: Clock) -> None:
    token = await here.tokens.issue_stream("operator", 3600)
    claims = await here.verify(token)
    assert (claims.kind, claims.owner, claims.session) == ("stream", "operator", None)
    assert claims.ends <= clock.at + 600 + LEEWAY


async def test_gateways_know_each_others_tokens(here: Gateway, there: Gateway, shelf: Shelf) -> None:
    await asyncio.gather(here.keys.load(), there.keys.load())
    assert len(shelf.rows) == 1
    asked = shelf.asked
    for _ in range(10):
        await there.verify(await here.token())
        await here.verify(await there.token())
    assert shelf.asked == asked, "tokens are verified in memory"


async def test_a_key_signs_for_thirty_days_and_the_one_before_verifies_on(
    here: Gateway, there: Gateway, shelf: Shelf, clock: Clock
) -> None:
    kids = []
    for _ in range(100):
        await here.keys.load()
        token = await here.token()
        kids.append(compact.read(token).kid)
        # The other gateway loaded an hour before, and need not ask to know it.
        asked = shelf.asked
        await there.verify(token) if kids[1:] else await there.keys.load()
        assert shelf.asked <= asked + 1
        assert len(shelf.rows) <= 2
        clock.at += DAY
        await there.keys.load()
    lasted = [kids.count(kid) for kid in dict.fromkeys(kids)]
    assert 3 <= len(lasted) <= 4
    assert max(lasted) <= SIGNS / timedelta(days=1) + 1


async def test_a_token_made_just_before_the_change_is_good_until_it_ends(
    here: Gateway, shelf: Shelf, clock: Clock
) -> None:
    first = compact.read(await here.token()).kid
    clock.at += (SIGNS - EARLY).total_seconds() + 60
    await here.keys.load()
    assert len(shelf.rows) == 2, "the next key is there a day early"
    clock.at += EARLY.total_seconds() - 90
    last = await here.token()
    assert compact.read(last).kid == first, "and does not sign before its time"
    clock.at += 60
    assert compact.read(await here.token()).kid != first
    clock.at += ACCESS_SECONDS - 60
    await here.keys.load()
    await here.verify(last)


async def test_an_unknown_key_id_is_asked_for_once_a_minute(here: Gateway, shelf: Shelf, clock: Clock) -> None:
    token = await here.token()
    asked = shelf.asked
    mine = ECKey.generate_key("P-256")
    claims = dict(compact.read(token).claims)

    async def knock() -> None:
        made_up = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": str(uuid4())}, claims, mine)
        assert await here.refused(made_up) == "unknown_key"

    for _ in range(20):
        await knock()
    assert shelf.asked == asked
    clock.at += 61
    for _ in range(20):
        await knock()
    assert shelf.asked == asked + 1


async def test_while_postgres_is_away_known_keys_go_on(
    here: Gateway, there: Gateway, shelf: Shelf, clock: Clock
) -> None:
    token = await here.token()
    shelf.away = True
    clock.at += 120
    await here.verify(token)
    await here.token()
    with pytest.raises(StoreUnavailable):
        await there.verify(token)
    shelf.away = False
    await there.verify(token)


async def test_the_private_part_is_sealed_and_a_planted_key_signs_nothing(
    here: Gateway, there: Gateway, shelf: Shelf, crypt: Crypt
) -> None:
    token = await here.token()
    row = shelf.rows[0]
    private = json.loads(crypt.decrypt(row.private_key))
    assert set(row.public_jwk) == {"crv", "x", "y", "kty", "kid", "use", "alg"}
    assert private["d"] not in json.dumps(row.public_jwk) + row.private_key
    planted = ECKey.generate_key("P-256", {"kid": "planted"})
    shelf.rows.append(
        replace(
            row,
            kid="planted",
            private_key=Crypt([Fernet.generate_key().decode()]).encrypt(json.dumps(planted.as_dict(private=True))),
            public_jwk=dict(planted.as_dict(private=False)),
        )
    )
    await there.keys.load()
    claims = dict(compact.read(token).claims)
    assert await there.refused(_made("planted", claims, planted)) == "unknown_key"
    await there.verify(token)


async def test_a_lost_encryption_key_makes_a_new_signing_key(here: Gateway, shelf: Shelf, clock: Clock) -> None:
    await here.token()
    other = Gateway(shelf, Crypt([Fernet.generate_key().decode()]), clock)
    await other.verify(await other.token())
    assert len(shelf.rows) == 2


async def test_forged_tokens_are_refused(here: Gateway, clock: Clock) -> None:
    token = await here.token()
    key = (await here.keys.signer()).key
    kid, claims = compact.read(token).kid, dict(compact.read(token).claims)
    head, body, signature = token.split(".")
    public = json.dumps(key.as_dict(private=False))
    oct_header = {"alg": "HS256", "typ": "at+jwt", "kid": kid}
    now = int(clock.at)
    forgeries = {
        "alg none": (f"{segment({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{body}.{signature}", "algorithm"),
        "HS256 with the public key": (
            jwt.encode(oct_header, claims, OctKey.import_key(public), algorithms=["HS256"]),
            "algorithm",
        ),
        "another key": (_made(kid, claims, ECKey.generate_key("P-256")), "signature"),
        "another account": (f"{head}.{segment(claims | {'sub': str(uuid4())})}.{signature}", "signature"),
        "no type": (jwt.encode({"alg": "ES256", "kid": kid}, claims, key), "type"),
        "type JWT": (jwt.encode({"alg": "ES256", "kid": kid, "typ": "JWT"}, claims, key), "type"),
        "no key id": (jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims, key), "kid"),
        "no session": (_made(kid, {k: v for k, v in claims.items() if k != "sid"}, key), "sid"),
        "a session that is no id": (_made(kid, claims | {"sid": 7}, key), "sid"),
        "another issuer": (_made(kid, claims | {"iss": "scribewire.evil"}, key), "iss"),
        "another audience": (_made(kid, claims | {"aud": "other"}, key), "aud"),
        "no expiry": (_made(kid, {k: v for k, v in claims.items() if k != "exp"}, key), "exp"),
        "issued in the future": (_made(kid, claims | {"iat": now + 600}, key), "iat"),
    }
    assert {name: await here.refused(forgery) for name, (forgery, _) in forgeries.items()} == {
        name: reason for name, (_, reason) in forgeries.items()
    }


def _made(kid: str, claims: dict[str, object], key: ECKey) -> str:
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, key, algorithms=["ES256"])


def test_a_reason_quotes_nothing() -> None:
    for token in ("secret", "a.b", "a.b.c", "." * 9000):
        with pytest.raises(Refused) as refused:
            compact.read(token)
        assert re.fullmatch("[a-z_]+", refused.value.reason)


async def test_an_error_that_nobody_expected_does_not_end_the_loading_of_keys(
    crypt: Crypt, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Shelf):
        async def ensure(
            self, now: datetime, due: Callable[[list[SigningKeyRow]], SigningKeyRow | None]
        ) -> list[SigningKeyRow]:
            if self.asked == 0:
                self.asked += 1
                raise ValueError
            return await super().ensure(now, due)

    monkeypatch.setattr("gateway.identity.signing.RETRY", 0.01)
    shelf = Broken()
    keeping = asyncio.create_task(Gateway(shelf, crypt, clock).keys.keep())
    await eventually(lambda: len(shelf.rows) == 1, 5)
    keeping.cancel()
