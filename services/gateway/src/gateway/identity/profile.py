"""One's own account: seen, changed, and its password."""

from typing import Any

from aiohttp import web

from gateway.answers import json_answer
from gateway.callers import Callers
from gateway.identity import letters
from gateway.identity.account import Person
from gateway.identity.account_store import CONSENTS, AccountStore, Changed, Taken
from gateway.identity.confirmation import Confirmations
from gateway.identity.freshness import need_fresh_login
from gateway.identity.login import account_of, session_of
from gateway.identity.mailbox import Mailbox
from gateway.identity.models import ChangePassword, Profile, ProfileChange, Said, UserInfo
from gateway.identity.passwords import Passwords
from gateway.identity.ports import Audit
from gateway.identity.register import address_limit, tell_moved
from gateway.identity.session_store import SessionStore
from gateway.identity.throttle import Limit, Throttle, login_limits, mail_limit
from gateway.principal import principal_of
from gateway.problems import FORBIDDEN, INVALID, NOT_FOUND, TAKEN, Problem
from gateway.routing import body_of

_TEXTS = ("username", "first_name", "last_name", "company")

_IN_PERSON = frozenset({"session", "oidc"})
"""Ways in that show a person. Whoever has the address sets a new password, so a key must not reach it."""


class ProfileApi:
    """The handlers of `/v1/account`, `/auth/profile`, `/api/me` and `/api/userinfo`, and of `change-password`."""

    def __init__(
        self,
        *,
        accounts: AccountStore,
        sessions: SessionStore,
        passwords: Passwords,
        throttle: Throttle,
        mailbox: Mailbox,
        confirmations: Confirmations,
        audit: Audit,
        callers: Callers,
        base: str,
        confirm: bool,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._mailbox = mailbox
        self._confirmations = confirmations
        self._audit = audit
        self._callers = callers
        self._base = base
        self._confirm = confirm

    async def show(self, request: web.Request) -> web.Response:
        """GET the account."""
        return json_answer(Profile.of(await self._person(request)))

    async def userinfo(self, request: web.Request) -> web.Response:
        """GET /api/userinfo."""
        return json_answer(UserInfo.of(await self._person(request)))

    async def change(self, request: web.Request) -> web.Response:
        """PATCH the account; another address needs the password, and waits for its mail where mail is sent."""
        body = body_of(request, ProfileChange)
        person = await self._person(request)
        account = person.account
        address = self._callers.address(request)
        new_email = body.email if body.email not in (None, account.email) else None
        if new_email is not None:
            if principal_of(request).via not in _IN_PERSON:
                raise Problem(
                    FORBIDDEN,
                    "An API key does not change the e-mail address; log in for that.",
                    errors=[("email", "is changed only by who is logged in")],
                )
            need_fresh_login(principal_of(request), "change the e-mail address")
            await self._prove(request, person, body.current_password)
        texts: dict[str, Any] = {name: getattr(body, name) for name in _TEXTS if name in body.model_fields_set}
        if "username" in texts and texts["username"] is None and account.email is None:
            raise _wrong("username", "is all there is to log in with")
        said = {kind: getattr(body, kind) for kind in CONSENTS if getattr(body, kind) is not None}
        consents = {kind: given for kind, given in said.items() if given != person.consents[kind]}
        if new_email is not None:
            await self._throttle.take(self._move_limits(request, new_email))
        # Where mail is sent the new address waits for its answer; all else is done now, or nothing of it.
        at_once = None if self._confirm else new_email
        try:
            await self._accounts.apply(person, texts=texts, consents=consents, email=at_once, address=address)
        except Taken as taken:
            what = {"email": "e-mail address", "username": "user name"}[taken.field]
            raise Problem(TAKEN, f"This {what} is taken.", errors=[(taken.field, "is taken")]) from None
        except Changed:
            await self._person(request)  # 404 where the account has ended
            raise Problem(
                INVALID,
                "The address or the password was changed at the same moment; look at the account and ask again.",
                errors=[("email", "was changed, or the password was, at the same moment")],
            ) from None
        if changed := sorted({*texts, *said}):
            await self._audit(request, "account.changed", fields=changed)
        if at_once is not None:
            await tell_moved(request, self._mailbox, self._audit, account=account, email=at_once)
        elif new_email is not None:
            await self._ask_to_move(person, new_email)
        return json_answer(Profile.of(await self._person(request)))

    async def change_password(self, request: web.Request) -> web.Response:
        """POST change-password: every other session ends."""
        body = body_of(request, ChangePassword)
        person = await self._person(request)
        if not person.has_password:
            raise _wrong("current_password", "there is none: this account comes in through another issuer")
        await self._prove(request, person, body.current_password)
        account = person.account
        await self._accounts.set_password(account.id, await self._passwords.hash(body.new_password))
        ended = await self._sessions.revoke_all(
            account.id, "the password was changed", save=session_of(principal_of(request))
        )
        await self._audit(request, "password.changed", sessions_ended=ended)
        if account.email is not None:
            await self._mailbox.put(letters.password_changed(), account.email, account=account.id)
        return json_answer(Said(status="done", detail=f"The password is changed; {ended} other sessions were ended."))

    async def _person(self, request: web.Request) -> Person:
        person = await self._accounts.person(account_of(principal_of(request)))
        if person is None:
            raise Problem(NOT_FOUND, "There is no such account.")
        return person

    async def _prove(self, request: web.Request, person: Person, password: str | None) -> None:
        """Return when this is the password; guessing is slowed down as it is for who logs in."""
        if not person.has_password:
            return
        if password is None:
            raise _wrong("current_password", "is needed for another e-mail address")
        limits = login_limits(person.account.owner, self._callers.address(request), at_home=True)
        await self._throttle.take(limits)
        verdict = await self._passwords.check(password, await self._accounts.password_of(person.account.id))
        if not verdict.right:
            await self._audit(request, "password.refused")
            raise _wrong("current_password", "is wrong")
        await self._throttle.succeeded(limits)

    def _move_limits(self, request: web.Request, email: str) -> list[Limit]:
        limits = [address_limit(self._callers, request)]
        if self._confirm:
            limits.append(mail_limit(email))
        return limits

    async def _ask_to_move(self, person: Person, email: str) -> None:
        account = person.account
        token = self._confirmations.token("address", account=account.owner, standing=person.standing, new=email)
        letter = letters.new_address(self._base, token, self._confirmations.hours)
        if await self._accounts.by_email(email) is not None:
            letter = letters.already_there(self._base)
        await self._mailbox.put(letter, email, account=account.id)
        if account.email is not None:
            # In time to stop it, where it is not its owner who asks.
            asked = letters.address_asked(self._base, letters.masked(email), self._confirmations.hours)
            await self._mailbox.put(asked, account.email, account=account.id)


def _wrong(field: str, message: str) -> Problem:
    return Problem(INVALID, f"{field} {message}.", errors=[(field, message)])
