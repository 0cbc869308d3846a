"""Accounts, logins and keys of the fake gateway; a refresh token is good for one exchange, without any grace."""

import secrets
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import uuid4

from aiohttp import web

from support.waiting import eventually

REGISTRATION = {
    "email", "username", "password", "first_name", "last_name", "company",
    "gdpr_consent", "data_retention_agreed", "marketing_consent",
}  # fmt: skip


@dataclass
class Session:
    """One login: the only tokens that are good, and those that were."""

    user: str
    access: str
    refresh: str
    used: set[str] = field(default_factory=set)


def refused(status: int, detail: str, field_name: str | None = None) -> web.Response:
    """A problem."""
    document: dict[str, Any] = {"title": detail, "status": status, "detail": detail}
    if field_name:
        document["errors"] = [{"field": field_name, "message": detail}]
    return web.json_response(document, status=status, content_type="application/problem+json")


class People:
    """Who may come in."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}
        self.sessions: list[Session] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.expires_in = 900
        self.reused = 0
        """How often a used refresh token was shown again, which ended its session."""
        self.by_mail = False
        self.refresh_when: Callable[[], bool] = lambda: True
        """A refresh is answered once this holds."""

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.post("/auth/register", self._register),
            web.post("/auth/login", self._login),
            web.post("/auth/refresh", self._refresh),
            web.post("/auth/logout", self._logout),
            web.get("/v1/account", self._account),
            web.get("/v1/account/export", self._export),
            web.delete("/v1/account", self._delete),
            web.post("/v1/keys", self._create_key),
            web.get("/v1/keys", self._list_keys),
            web.post("/v1/keys/{id}/rotate", self._rotate),
            web.delete("/v1/keys/{id}", self._revoke),
            web.get("/v1/usage", self._usage),
            web.get("/v1/limits", self._usage),
        ]

    def key(self, secret: str = "sw_test_key") -> str:
        """Let a key in."""
        key_id = str(uuid4())
        self.keys[key_id] = {"id": key_id, "key": secret, "name": "test", "prefix": secret[:8], "scopes": ["jobs:read"]}
        return secret

    def account(self, username: str = "ann", password: str = "Passw0rd") -> None:
        """Make an account."""
        self.accounts[username] = {
            "id": str(uuid4()),
            "username": username,
            "email": f"{username}@example.test",
            "password": password,
        }

    def end_access(self) -> None:
        """Every access token ends now; the refresh tokens stay good."""
        for session in self.sessions:
            session.access = secrets.token_hex()

    def lets_in(self, authorization: str) -> bool:
        """Whether a header opens the door."""
        return self._who(authorization) is not None

    def _who(self, authorization: str) -> str | None:
        token = authorization.removeprefix("Bearer ")
        for session in self.sessions:
            if session.access == token:
                return session.user
        return "" if any(key["key"] == token for key in self.keys.values()) else None

    def _tokens(self, session: Session) -> dict[str, Any]:
        return {
            "access_token": session.access,
            "refresh_token": session.refresh,
            "expires_in": self.expires_in,
            "token_type": "Bearer",
            "user": self._profile(session.user),
        }

    def _profile(self, user: str) -> dict[str, Any]:
        return {name: value for name, value in self.accounts[user].items() if name != "password"}

    def _open(self, user: str) -> dict[str, Any]:
        session = Session(user, secrets.token_hex(), secrets.token_hex())
        self.sessions.append(session)
        return self._tokens(session)

    async def _register(self, request: web.Request) -> web.Response:
        body = await request.json()
        for name in set(body) - REGISTRATION:
            return refused(422, "is not known", name)
        for name in ("gdpr_consent", "data_retention_agreed"):
            if body.get(name) is not True:
                return refused(422, "must be true", name)
        if len(body["password"]) < 8:
            return refused(422, "is too short", "password")
        user = body.get("username") or body["email"]
        if user in self.accounts:
            return refused(409, "The user name is taken.")
        self.account(user, body["password"])
        self.accounts[user]["email"] = body["email"]
        if self.by_mail:
            said = {"status": "mail_sent", "detail": "A mail was sent; answer it."}
            return web.json_response(said, status=202)
        return web.json_response(self._open(user), status=201)

    async def _login(self, request: web.Request) -> web.Response:
        body = await request.json()
        if set(body) != {"login", "password"}:
            return refused(422, "Not valid.")
        for user, account in self.accounts.items():
            if body["login"] in {user, account["email"]} and body["password"] == account["password"]:
                return web.json_response(self._open(user))
        return refused(401, "The name or the password is wrong.")

    async def _refresh(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert set(body) == {"refresh_token"}
        await eventually(self.refresh_when)
        for session in self.sessions:
            if session.refresh == body["refresh_token"]:
                session.used.add(session.refresh)
                session.access, session.refresh = secrets.token_hex(), secrets.token_hex()
                return web.json_response(self._tokens(session))
            if body["refresh_token"] in session.used:
                self.reused += 1
                self.sessions.remove(session)
                break
        return refused(401, "The refresh token is not good.")

    async def _logout(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.sessions = [session for session in self.sessions if session.access != token]
        return web.json_response({"status": "done", "detail": "It is ended."})

    async def _account(self, request: web.Request) -> web.Response:
        user = self._who(request.headers["Authorization"])
        return web.json_response(self._profile(user)) if user else refused(409, "A key has no account.")

    async def _export(self, request: web.Request) -> web.Response:
        file = BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("account.json", "{}")
        return web.Response(body=file.getvalue(), content_type="application/zip")

    async def _delete(self, request: web.Request) -> web.Response:
        user = self._who(request.headers["Authorization"])
        if not user:
            return refused(409, "A key has no account.")
        del self.accounts[user]
        self.sessions = [session for session in self.sessions if session.user != user]
        return web.Response(status=204)

    async def _create_key(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not set(body) <= {"name", "scopes", "expires_at", "expires_in_days"}:
            return refused(422, "Not valid.")
        secret = "sw_" + secrets.token_hex(16)
        self.key(secret)
        made = list(self.keys.values())[-1]
        made |= {"name": body["name"], "scopes": body.get("scopes") or ["jobs:read", "jobs:write", "webhooks"]}
        made["expires_at"] = "2027-01-01T00:00:00Z" if body.get("expires_in_days") else None
        return web.json_response(made, status=201)

    async def _list_keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [{k: v for k, v in key.items() if k != "key"} for key in self.keys.values()]})

    async def _rotate(self, request: web.Request) -> web.Response:
        old = self.keys.get(request.match_info["id"])
        if old is None:
            return refused(404, "There is no key with this id.")
        secret = "sw_" + secrets.token_hex(16)
        self.key(secret)
        made = list(self.keys.values())[-1]
        return web.json_response(made | {"rotated_from": old["id"]}, status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        if self.keys.pop(request.match_info["id"], None) is None:
            return refused(404, "There is no key with this id.")
        return web.Response(status=204)

    async def _usage(self, request: web.Request) -> web.Response:
        return web.json_response({"plan": "free", "calls": {"used": 3, "limit": 100}})
