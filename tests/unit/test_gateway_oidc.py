"""Tokens of another issuer: forged ones do not pass and send us nowhere; its keys change, and it may go away."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.identity import compact
from gateway.identity.foreign_rights import USUAL, ForeignRights
from gateway.identity.jwks import LARGEST_ANSWER, IssuerUnavailable, Jwks, is_safe
from gateway.identity.oidc import Foreign, Oidc
from gateway.identity.refused import Refused
from gateway.settings import GatewaySettings
from support.fake_oidc import AUDIENCE, FakeIssuer, fake_issuer, new_key, public_jwk, signed
from support.forged import forged
from support.waiting import eventually

RIGHTS = ForeignRights.read("jobs:read", {"transcribe": "jobs:read jobs:write"})


@dataclass
class Setting:
    """An issuer, who verifies its tokens, and a clock that a test moves."""

    issuer: FakeIssuer
    http: aiohttp.ClientSession
    at: float = 0.0
    oidc: Oidc = field(init=False)
    jwks: Jwks = field(init=False)

    def __post_init__(self) -> None:
        self.jwks = Jwks(self.issuer.url, http=self.http, seconds=2, clock=lambda: self.at)
        self.oidc = Oidc(issuer=self.issuer.url, audience=AUDIENCE, keys=self.jwks, rights=RIGHTS)

    async def verify(self, token: str) -> Foreign:
        """Verify as the door does."""
        return await self.oidc.verify(compact.read(token))

    async def refused(self, token: str) -> str:
        """Why a token is refused."""
        with pytest.raises(Refused) as refused:
            await self.verify(token)
        return refused.value.reason


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with fake_issuer() as issuer, aiohttp.ClientSession() as http:
        yield Setting(issuer, http)


async def test_a_good_token_says_who_it_is(setting: Setting) -> None:
    found = await setting.verify(setting.issuer.token(sub="auth0|ada", aud=["x", AUDIENCE]))
    assert (found.issuer, found.subject) == (setting.issuer.url, "auth0|ada")
    assert 3590 < found.ends - time.time() < 3640
    assert abs(found.issued - time.time()) < 30
    assert found.scopes == {"jobs:read"}


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "openid"}, {"jobs:read"}),
        ({"scope": "transcribe openid"}, {"jobs:read", "jobs:write"}),
        ({"scope": "keys", "permissions": ["admin", "x", {}, 1]}, {"keys", "admin"}),
        ({"scope": "stream"}, {"jobs:read"}),
        ({"scope": ["keys"], "permissions": "admin"}, {"jobs:read"}),
        ({"scope": "jobs:readers keys,admin KEYS"}, {"jobs:read"}),
    ],
)
async def test_a_token_may_do_what_it_names_and_else_what_is_usual(
    setting: Setting, claims: dict[str, object], scopes: set[str]
) -> None:
    assert (await setting.verify(setting.issuer.token(**claims))).scopes == scopes


def test_rights_name_scopes_that_there_are() -> None:
    assert not {"keys", "admin"} & ForeignRights.read(USUAL, {}).of({}), "these the issuer has to name"
    assert ForeignRights.read("", {}).of({}) == frozenset()
    blocked = ForeignRights.read(USUAL, {"blocked": "", "reader": "jobs:read"})
    assert blocked.of({"scope": "openid blocked"}) == frozenset(), "a word that stands for nothing gives nothing"
    assert blocked.of({"scope": "blocked", "permissions": ["reader"]}) == {"jobs:read"}
    for usual, names in (("jobs:raed", {}), ("", {"a": "everything"}), ("stream", {})):
        with pytest.raises(ValueError, match="not scopes"):
            ForeignRights.read(usual, names)


@pytest.mark.parametrize(
    ("written", "names"),
    [("", {}), (" ", {}), ('{"transcribe": "jobs:read"}', {"transcribe": "jobs:read"}), ("{", None), ("[1]", None)],
)
def test_words_of_an_issuer_are_set_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, names: dict[str, str] | None
) -> None:
    monkeypatch.setenv("SCRIBEWIRE_OIDC_SCOPE_NAMES", written)
    files: dict[str, Any] = {"operator_key_file": tmp_path, "encryption_keys_file": tmp_path}
    if names is None:
        with pytest.raises(ValueError, match="oidc_scope_names"):
            GatewaySettings(_env_file=None, **files)
    else:
        assert GatewaySettings(_env_file=None, **files).oidc_scope_names == names


async def test_clocks_may_differ_by_half_a_minute(setting: Setting) -> None:
    now = int(time.time())
    await setting.verify(setting.issuer.token(exp=now - 20, nbf=now + 20, iat=now + 20))
    assert await setting.refused(setting.issuer.token(exp=now - 40)) == "exp"
    assert await setting.refused(setting.issuer.token(nbf=now + 40)) == "nbf"


async def test_every_forged_token_is_refused_at_once_and_sends_us_nowhere(setting: Setting) -> None:
    await setting.jwks.warm()
    asked = setting.issuer.requests.total()
    forgeries = forged(setting.issuer)
    assert len(forgeries) >= 70
    passed, slow, reasons = [], {}, {}
    for name, token in forgeries.items():
        cpu = []
        for _ in range(3):
            begun = time.process_time()
            try:
                await setting.verify(token)
                passed.append(name)
            except Refused as refused:
                cpu.append(time.process_time() - begun)
                reasons[name] = refused.reason
        if cpu and min(cpu) > 0.005:
            slow[name] = min(cpu)
    assert passed == []
    assert slow == {}
    # Each for what is wrong with it: only where the signature is what is wrong it is the reason.
    assert {name for name, reason in reasons.items() if reason == "signature"} == {
        "a signature cut short",
        "a changed signature",
        "the signature of another token",
        "claims changed after signing",
        "signed with another key",
    }
    assert {"algorithm", "header", "kid", "unknown_key", "type", "iss", "aud", "exp", "nbf", "iat", "sub"} <= set(
        reasons.values()
    )
    assert setting.issuer.requests.total() == asked


async def test_a_rotated_key_is_fetched_once_a_minute_at_most(setting: Setting) -> None:
    await setting.verify(setting.issuer.token())
    setting.issuer.rotate("second")
    asked = setting.issuer.requests["/keys"]
    assert await setting.refused(setting.issuer.token()) == "unknown_key"
    setting.at += 61
    await setting.verify(setting.issuer.token())
    for number in range(20):
        header = setting.issuer.header(kid=f"made-up-{number}")
        assert await setting.refused(signed(header, setting.issuer.claims(), setting.issuer.key)) == "unknown_key"
    assert setting.issuer.requests["/keys"] == asked + 1


async def test_a_key_the_issuer_took_back_is_forgotten_within_the_hour(setting: Setting) -> None:
    old = setting.issuer.token()
    await setting.verify(old)
    setting.issuer.rotate("second", keep=False)
    setting.at += 3601
    await setting.verify(old)  # Nobody waits for the refresh.

    async def gone() -> bool:
        try:
            await setting.verify(old)
        except Refused:
            return True
        return False

    assert await eventually(gone, 5)


async def test_known_keys_go_on_while_the_issuer_is_down(setting: Setting) -> None:
    await setting.verify(setting.issuer.token())
    setting.issuer.down = True
    for _ in range(3):
        setting.at += 3700
        await setting.verify(setting.issuer.token())


async def test_an_issuer_never_reached_is_no_reason_to_call_a_token_wrong(setting: Setting) -> None:
    setting.issuer.down = True
    with pytest.raises(IssuerUnavailable):
        await setting.verify(setting.issuer.token())
    asked = setting.issuer.requests.total()
    with pytest.raises(IssuerUnavailable):
        await setting.verify(setting.issuer.token())
    assert setting.issuer.requests.total() == asked
    setting.issuer.down = False
    setting.at += 61
    await setting.verify(setting.issuer.token())


async def test_an_issuer_without_discovery_has_its_keys_where_auth0_has(setting: Setting) -> None:
    setting.issuer.discovery = None
    await setting.verify(setting.issuer.token())
    assert setting.issuer.requests["/.well-known/jwks.json"] == 1


@pytest.mark.parametrize(
    "discovery", [{"issuer": "https://evil.test/"}, {"jwks_uri": "http://evil.test/keys"}, {"jwks_uri": None}]
)
async def test_a_discovery_document_that_names_others_is_not_followed(
    setting: Setting, discovery: dict[str, str]
) -> None:
    setting.issuer.discovery = discovery
    with pytest.raises(IssuerUnavailable):
        await setting.verify(setting.issuer.token())
    assert setting.issuer.requests["/keys"] == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"null",
        b'{"keys": {}}',
        b'{"keys": [' + b" " * LARGEST_ANSWER + b"]}",
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_no_key_set_is_not_taken(setting: Setting, answer: bytes) -> None:
    setting.issuer.jwks = answer
    with pytest.raises(IssuerUnavailable):
        await setting.verify(setting.issuer.token())


@pytest.mark.parametrize(
    "listed",
    [[], [1, {"kty": "RSA", "kid": "first"}, {"kty": "oct", "kid": "first", "k": "c2VjcmV0"}]],
)
async def test_an_issuer_that_took_all_its_keys_back_is_trusted_no_more(setting: Setting, listed: list[object]) -> None:
    await setting.verify(setting.issuer.token())
    setting.issuer.jwks = json.dumps({"keys": listed}).encode()
    setting.at += 3601
    await setting.verify(setting.issuer.token())  # Nobody waits for the refresh.

    async def gone() -> bool:
        try:
            await setting.verify(setting.issuer.token())
        except Refused as refused:
            return refused.reason == "unknown_key"
        return False

    assert await eventually(gone, 5)
    # It may have been a slip: with the keys back, its tokens are good a minute later.
    setting.issuer.jwks = None
    setting.at += 61
    await setting.verify(setting.issuer.token())


async def test_a_refresh_that_failed_is_tried_again_each_minute(setting: Setting) -> None:
    old = setting.issuer.token()
    await setting.verify(old)
    setting.issuer.rotate("second", keep=False)
    setting.issuer.down = True
    setting.at += 3601
    asked = setting.issuer.requests.total()
    await setting.verify(old)
    assert await eventually(lambda: setting.issuer.requests.total() > asked, 5)
    setting.issuer.down = False
    setting.at += 59
    await setting.verify(old)
    assert setting.issuer.requests["/keys"] == 1
    setting.at += 2

    async def gone() -> bool:
        try:
            await setting.verify(old)
        except Refused:
            return True
        return False

    assert await eventually(gone, 5)


async def test_a_short_key_is_not_taken(setting: Setting) -> None:
    short = new_key(1024)
    setting.issuer.jwks = json.dumps({"keys": [public_jwk("first", short)]}).encode()
    assert await setting.refused(signed(setting.issuer.header(), setting.issuer.claims(), short)) == "unknown_key"


def test_keys_are_fetched_over_https_or_from_this_machine() -> None:
    assert is_safe("https://example.auth0.com/")
    assert is_safe("http://127.0.0.1:8080/")
    for address in ("http://example.com/", "ftp://example.com", "file:///etc/passwd", "example.com", "", "http://[x"):
        assert not is_safe(address)
