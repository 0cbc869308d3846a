"""Logging in and out, and going on with a session."""

from uuid import UUID

from aiohttp import web

from gateway.answers import json_answer
from gateway.callers import Callers, neighbourhood
from gateway.identity import rules
from gateway.identity.account_store import AccountStore
from gateway.identity.arrival import CHALLENGE, Arrival
from gateway.identity.models import LoginBody, RefreshBody, Said
from gateway.identity.passwords import Passwords
from gateway.identity.ports import Audit
from gateway.identity.refresh import RefreshToken
from gateway.identity.session_store import SessionStore
from gateway.identity.throttle import Throttle, login_limits
from gateway.principal import Principal, account_id, principal_of
from gateway.problems import BAD_CREDENTIALS, GONE, INACTIVE, NO_SESSION, Problem
from gateway.routing import body_of


class LoginApi:
    """The handlers of `login`, `refresh`, `logout` and `logout-all`."""

    def __init__(
        self,
        *,
        accounts: AccountStore,
        sessions: SessionStore,
        passwords: Passwords,
        throttle: Throttle,
        arrival: Arrival,
        audit: Audit,
        callers: Callers,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._arrival = arrival
        self._audit = audit
        self._callers = callers

    async def login(self, request: web.Request) -> web.Response:
        """POST login: the same answer in the same time for a wrong password and for nobody."""
        body = body_of(request, LoginBody)
        address = self._callers.address(request)
        found = await self._accounts.by_login(body.who, address)
        limits = login_limits(rules.key(body.who), address, at_home=found.at_home)
        await self._throttle.take(limits)
        verdict = await self._passwords.check(body.password, found.password_hash, bcrypt_left=found.bcrypt_left)
        account = found.account
        if account is None or not verdict.right:
            await self._audit(request, "login.failed", account=str(account.id) if account else None, reason="password")
            raise Problem(BAD_CREDENTIALS, "The name or the password is wrong.", headers=CHALLENGE)
        if not account.is_active:
            # Only who knows the password learns it.
            await self._audit(request, "login.failed", account=account.owner, reason="inactive")
            raise Problem(INACTIVE, "This account is switched off; ask the operator.")
        await self._throttle.succeeded(limits)
        if verdict.better is not None and found.password_hash is not None:
            await self._accounts.better_hash(account.id, found.password_hash, verdict.better)
        answer = await self._arrival.begin(request, account)
        await self._audit(request, "login.succeeded", actor=account.owner)
        return answer

    async def refresh(self, request: web.Request) -> web.Response:
        """POST refresh: exchange a refresh token, once; `SessionStore.rotate` says what a second time means."""
        token = RefreshToken.read(body_of(request, RefreshBody).refresh_token)
        rotation = await self._sessions.rotate(token) if token is not None else None
        if rotation is not None and rotation.token is None:
            await self._audit(request, "session.reused", actor=str(rotation.account), session=str(rotation.session))
        if rotation is None or rotation.token is None:
            raise _log_in_again()
        account = await self._accounts.active(rotation.account)
        if account is None:
            await self._sessions.revoke(rotation.session, "the account is switched off")
            raise _log_in_again()
        return await self._arrival.go_on(account, rotation.token)

    async def logout(self, request: web.Request) -> web.Response:
        """POST logout: end this session."""
        principal = principal_of(request)
        session = session_of(principal)
        if session is None:
            raise Problem(NO_SESSION, "There is no session to end: this request came with a key or a foreign token.")
        await self._sessions.revoke(session, "logged out")
        await self._audit(request, "logout", session=str(session))
        return json_answer(Said(status="done", detail="You are logged out."))

    async def logout_all(self, request: web.Request) -> web.Response:
        """POST logout-all: end every session of the account, this one as well."""
        ended = await self._sessions.revoke_all(account_of(principal_of(request)), "logged out everywhere")
        await self._audit(request, "logout.everywhere", sessions=ended)
        return json_answer(Said(status="done", detail=f"{ended} sessions were ended."))

    async def mobile(self, _request: web.Request) -> web.Response:
        """POST /mobile-auth/login: gone, for it asked for no password."""
        raise Problem(
            GONE,
            "Logging in without a password is not offered any more. Log in at /v1/auth/login, or send an API key "
            "from /v1/keys as 'x-api-key'.",
            instead=["/v1/auth/login", "/v1/keys"],
        )


def session_of(principal: Principal) -> UUID | None:
    """The session a request came with; None when it came with something else."""
    return principal.credential if principal.via == "session" else None


def account_of(principal: Principal) -> UUID:
    """The account a request came with; a 409 problem for the operator, who has none."""
    account = account_id(principal.owner)
    if account is None:
        raise Problem(NO_SESSION, "The operator's key belongs to no account; log in with one.")
    return account


def place_of(callers: Callers, request: web.Request) -> str:
    """What counts as one caller."""
    return neighbourhood(callers.address(request))


def _log_in_again() -> Problem:
    return Problem(BAD_CREDENTIALS, "The refresh token is not valid any more; log in again.", headers=CHALLENGE)
