"""Tokens that an issuer never made, or made for others: each differs from a good one in one way that matters."""

import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.fake_oidc import FakeIssuer, new_key, public_jwk, segment, signed


def forged(issuer: FakeIssuer) -> dict[str, str]:
    """Every forgery, by a name that says what is wrong with it."""
    return (
        _algorithms(issuer)
        | _signatures(issuer)
        | _headers(issuer)
        | _claims(issuer)
        | _shapes(issuer)
    )  # fmt: skip


def _algorithms(issuer: FakeIssuer) -> dict[str, str]:
    good, claims = issuer.header(), issuer.claims()
    public = issuer.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(public_jwk(issuer.kid, issuer.key)).encode()
    found = {
        f"alg {name} with an empty signature": f"{segment(good | {'alg': name})}.{segment(claims)}."
        for name in ("none", "None", "NONE", "nOnE")
    }
    found |= {
        f"alg {name} with a good signature": signed(good | {"alg": name}, claims, issuer.key)
        for name in ("none", "rs256", "RS384", "PS256", "HS256", "")
    }
    found |= {
        f"{name} with the public key as its secret ({form})": _hmac(good | {"alg": name}, claims, secret, digest)
        for name, digest in (("HS256", "sha256"), ("hs256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"))
        for form, secret in (("PEM", pem), ("JWK", jwk))
    }
    body = f"{segment(good | {'alg': 'PS256'})}.{segment(claims)}"
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    elliptic = f"{segment(good | {'alg': 'ES256'})}.{segment(claims)}"
    curve = ec.generate_private_key(ec.SECP256R1()).sign(elliptic.encode(), ec.ECDSA(hashes.SHA256()))
    return found | {
        "no alg": signed({k: v for k, v in good.items() if k != "alg"}, claims, issuer.key),
        "alg is a list": signed(good | {"alg": ["RS256"]}, claims, issuer.key),
        "RS512, truly": signed(good | {"alg": "RS512"}, claims, issuer.key, hashes.SHA512()),
        "PS256, truly": f"{body}.{segment(issuer.key.sign(body.encode(), pss, hashes.SHA256()))}",
        "ES256 of a key of one's own": f"{elliptic}.{segment(curve)}",
    }


def _signatures(issuer: FakeIssuer) -> dict[str, str]:
    head, body, signature = issuer.token().split(".")
    other = signed(issuer.header(), issuer.claims(sub="auth0|eve"), issuer.key).split(".")
    return {
        "empty signature": f"{head}.{body}.",
        "no signature": f"{head}.{body}",
        "a signature cut short": f"{head}.{body}.{signature[:-8]}",
        "a changed signature": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "the signature of another token": f"{head}.{body}.{other[2]}",
        "claims changed after signing": f"{head}.{segment(issuer.claims(sub='auth0|eve'))}.{signature}",
        "signed with another key": signed(issuer.header(), issuer.claims(), new_key()),
    }


def _headers(issuer: FakeIssuer) -> dict[str, str]:
    mine = new_key()
    kids: dict[str, Any] = {
        "no kid": None,
        "an empty kid": "",
        "a kid that is a number": 1,
        "a kid that is a list": [issuer.kid],
        "a kid that is a path": "../../../../dev/null",
        "a kid that is SQL": "x' UNION SELECT 'secret",
        "a long kid": "k" * 500,
        "a foreign kid": "never-seen",
    }
    found = {name: signed(issuer.header(kid=kid), issuer.claims(), issuer.key) for name, kid in kids.items()}
    extra: dict[str, Any] = {
        "jku": "https://evil.test/keys",
        "x5u": "https://evil.test/chain",
        "jwk": public_jwk(issuer.kid, mine),
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
    }
    for member, value in extra.items():
        found[f"{member} in the header, truly signed"] = signed(
            issuer.header(**{member: value}), issuer.claims(), issuer.key
        )
    found["an embedded jwk that signed it"] = signed(issuer.header(jwk=extra["jwk"]), issuer.claims(), mine)
    twice = f'{{"alg":"none","alg":"RS256","kid":"{issuer.kid}","typ":"JWT"}}'
    found["alg twice"] = signed(twice, issuer.claims(), issuer.key)
    found["another kind of token"] = signed(issuer.header(typ="logout+jwt"), issuer.claims(), issuer.key)
    return found


def _claims(issuer: FakeIssuer) -> dict[str, str]:
    now = int(time.time())
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://evil.test/"},
        "the issuer without its slash": {"iss": issuer.url.rstrip("/")},
        "no issuer": {"iss": None},
        "an issuer that is a list": {"iss": [issuer.url]},
        "a foreign audience": {"aud": "https://other.test"},
        "foreign audiences": {"aud": ["https://other.test", "x"]},
        "no audience": {"aud": None},
        "an empty audience": {"aud": []},
        "expired": {"exp": now - 3600},
        "no expiry": {"exp": None},
        "an expiry that is text": {"exp": str(now + 3600)},
        "an expiry that is true": {"exp": True},
        "not valid yet": {"nbf": now + 3600},
        "issued in the future": {"iat": now + 3600},
        "no time of issue": {"iat": None},
        "no subject": {"sub": None},
        "an empty subject": {"sub": ""},
        "a subject that is a number": {"sub": 7},
        "a subject with control characters": {"sub": "ada\x00\n"},
        "a long subject": {"sub": "a" * 300},
    }
    found = {name: issuer.token(**changed) for name, changed in changes.items()}
    claims = json.dumps(issuer.claims(exp=now + 3600))  # the clock may have gone on since
    raw = {
        "two subjects": claims[:-1] + ', "sub": "auth0|eve"}',
        "two audiences by name": claims.replace('"aud"', '"aud": "https://other.test", "aud"'),
        "an endless expiry": claims.replace(f'"exp": {now + 3600}', '"exp": 1e999'),
        "an expiry that is Infinity": claims.replace(f'"exp": {now + 3600}', '"exp": Infinity'),
        "claims in a list": f"[{claims}]",
        "claims that are no JSON": claims[:-1],
        "claims nested deeply": claims[:-1] + ', "x": ' + "[" * 2000 + "]" * 2000 + "}",
    }
    return found | {name: signed(issuer.header(), text, issuer.key) for name, text in raw.items()}


def _shapes(issuer: FakeIssuer) -> dict[str, str]:
    head, body, signature = issuer.token().split(".")
    return {
        "four parts": f"{head}.{body}.{signature}.{signature}",
        "five parts": f"{head}.{body}.{signature}.{body}.{signature}",
        "two dots": "..",
        "padded": f"{head}==.{body}.{signature}",
        "in the other alphabet": f"{head}.{body}.{signature[:-1]}+",
        "a header that is no JSON": f"{segment('RS256')}.{body}.{signature}",
        "huge": signed(issuer.header(), issuer.claims(x="x" * 6000), issuer.key)[:8100],
        "far too long": signed(issuer.header(), issuer.claims(x="x" * 20_000), issuer.key),
    }


def _hmac(header: Any, claims: Any, secret: bytes, digest: str) -> str:
    body = f"{segment(header)}.{segment(claims)}"
    return f"{body}.{segment(hmac.digest(secret, body.encode(), digest))}"
