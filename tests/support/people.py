"""People with accounts, as clients of a gateway see themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

PASSWORD = "Heron-and-Reed-7"


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in."""

    name: str
    owner: str
    http: aiohttp.ClientSession
    refresh_token: str

    async def post(self, path: str, status: int, **body: Any) -> Any:
        """The JSON of an answer that must have this status."""
        async with self.http.post(path, **body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


def registration(name: str, **more: Any) -> dict[str, Any]:
    """What somebody sends to get an account."""
    return {
        "email": f"{name}@example.org",
        "username": f"{name}-user",
        "password": PASSWORD,
        "gdpr_consent": True,
        "data_retention_agreed": True,
        **more,
    }


@asynccontextmanager
async def person(url: str, name: str) -> AsyncIterator[Person]:
    """Somebody with a new account, logged in as long as the block lasts."""
    async with aiohttp.ClientSession(url) as http:
        async with http.post("/auth/register", json=registration(name)) as answer:
            assert answer.status == 201, await answer.text()
            tokens = await answer.json()
        http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        async with http.get("/v1/account") as answer:
            owner = (await answer.json())["id"]
        yield Person(name, owner, http, tokens["refresh_token"])
