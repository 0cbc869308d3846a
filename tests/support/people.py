"""People who use a gateway: they register, log in, and call it with what they got."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp

from gateway.identity.refresh import RefreshToken

PASSWORD = "Correct-horse-7"

_NUMBERS = count(1)


@dataclass
class Person:
    """Somebody with an account, at an address of their own."""

    http: aiohttp.ClientSession
    email: str
    username: str
    password: str
    tokens: dict[str, Any]

    @property
    def id(self) -> str:
        """Their account's id."""
        return str(self.tokens["user"]["id"])

    @property
    def session(self) -> str:
        """Their session's id."""
        token = RefreshToken.read(self.tokens["refresh_token"])
        assert token is not None
        return str(token.session)

    @property
    def headers(self) -> dict[str, str]:
        """What shows who they are."""
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    async def get(self, path: str, *, status: int = 200) -> Any:
        """GET with their token."""
        return await call(self.http, "GET", path, status=status, headers=self.headers)

    async def post(self, path: str, body: Any = None, *, status: int = 200, method: str = "POST") -> Any:
        """POST with their token."""
        return await call(self.http, method, path, body, status=status, headers=self.headers)

    async def login(self, **body: str) -> dict[str, Any]:
        """Log in anew and go on with that session."""
        given = body or {"login": self.email, "password": self.password}
        self.tokens = await call(self.http, "POST", "/v1/auth/login", given)
        return self.tokens


async def call(
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """The answer's JSON, which must have this status."""
    async with http.request(method, path, json=body, headers=headers) as answer:
        assert answer.status == status, (answer.status, await answer.text())
        return await answer.json(content_type=None)


def registration(**changes: Any) -> dict[str, Any]:
    """What somebody new sends."""
    number = next(_NUMBERS)
    return {
        "email": f"Person{number}@Example.org",
        "username": f"person.{number}",
        "password": PASSWORD,
        "first_name": "Ann",
        "last_name": "Lee",
        "company": "Example <b>Ltd</b>",
        "gdpr_consent": True,
        "data_retention_agreed": True,
        **changes,
    }


@asynccontextmanager
async def visitor(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client at an address of its own, as a trusted proxy in front of the gateway tells it."""
    number = next(_NUMBERS)
    address = f"198.18.{number // 250}.{number % 250 + 1}"
    async with aiohttp.ClientSession(url, headers={"X-Forwarded-For": address, "User-Agent": "people/1"}) as http:
        yield http


@asynccontextmanager
async def somebody(url: str, **changes: Any) -> AsyncIterator[Person]:
    """A new person, logged in; their gateway trusts proxies on loopback and sends no mail."""
    asked = registration(**changes)
    async with visitor(url) as http:
        tokens = await call(http, "POST", "/v1/auth/register", asked, status=201)
        yield Person(http, asked["email"], asked["username"], asked["password"], tokens)
