"""Lost passwords: a mail with a token, and the new password for it."""

import asyncio
from datetime import timedelta

import structlog
from aiohttp import web

from gateway.answers import json_answer
from gateway.callers import Callers
from gateway.database import StoreUnavailable
from gateway.identity import letters, rules
from gateway.identity.account_store import AccountStore
from gateway.identity.login import place_of
from gateway.identity.mailbox import Mailbox
from gateway.identity.models import ForgotPassword, ResetPassword, Said
from gateway.identity.passwords import Passwords
from gateway.identity.ports import Audit
from gateway.identity.register import bad_token
from gateway.identity.reset_store import ResetStore
from gateway.identity.throttle import Limit, Throttle, mail_limit
from gateway.routing import body_of

log = structlog.get_logger(__name__)

_HOUR = timedelta(hours=1)


class RecoveryApi:
    """The handlers of `forgot-password` and `reset-password`.

    Parameters
    ----------
    base
        Where people find the gateway, for links.
    minutes
        How long a token is good, for the mail.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        resets: ResetStore,
        passwords: Passwords,
        throttle: Throttle,
        mailbox: Mailbox,
        audit: Audit,
        callers: Callers,
        base: str,
        minutes: int,
    ) -> None:
        self._accounts = accounts
        self._resets = resets
        self._passwords = passwords
        self._throttle = throttle
        self._mailbox = mailbox
        self._audit = audit
        self._callers = callers
        self._base = base
        self._minutes = minutes
        self._sending: set[asyncio.Task[None]] = set()

    async def forgot(self, request: web.Request) -> web.Response:
        """POST forgot-password: the same answer for everyone; a mail goes to whoever has an account."""
        email = body_of(request, ForgotPassword).email
        await self._throttle.take([Limit(f"forgot from {place_of(self._callers, request)}", 20, forgotten=_HOUR)])
        # After the answer, so that the time it takes does not tell who has an account either.
        task = asyncio.create_task(self._send(request, email))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        detail = "If this address has an account, a mail was sent to it."
        return json_answer(Said(status="mail_sent", detail=detail), status=202)

    async def finish(self) -> None:
        """Wait until what was asked for lies with the notifier."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def reset(self, request: web.Request) -> web.Response:
        """POST reset-password: set a password with the token of the mail, and end every session."""
        body = body_of(request, ResetPassword)
        await self.renew(request, body.token, body.password)
        return json_answer(Said(status="done", detail="The password is set; log in with it."))

    async def renew(self, request: web.Request, token: str, password: str) -> None:
        """Set the password; raises a 422 problem when the token is good no more."""
        await self._throttle.take([Limit(f"reset from {place_of(self._callers, request)}", 20, forgotten=_HOUR)])
        # Hashing is work: only for who has a token.
        if not await self._resets.good(token):
            raise bad_token("ask for another mail")
        address = self._callers.address(request)
        account = await self._resets.use(token, await self._passwords.hash(password), address)
        if account is None:
            raise bad_token("ask for another mail")
        await self._audit(request, "password.reset", actor=str(account))
        person = await self._accounts.person(account)
        if person is None:
            return
        names = [name for name in (person.account.email, person.account.username) if name is not None]
        await self._throttle.forget(map(rules.key, names), address)
        if person.account.email is not None:
            await self._mailbox.put(letters.password_changed(), person.account.email, account=account)

    async def _send(self, request: web.Request, email: str) -> None:
        try:
            account = await self._accounts.by_email(email)
            if account is None or not account.is_active or account.email is None or not self._mailbox.on:
                return
            if not await self._throttle.allowed(mail_limit(email)):
                return
            token = await self._resets.add(account.id, self._callers.address(request))
            letter = letters.reset(self._base, token, self._minutes)
            await self._mailbox.put(letter, account.email, account=account.id)
            await self._audit(request, "password.reset_asked", account=account.owner)
        except StoreUnavailable:
            log.warning("reset_not_sent")
        except Exception:
            log.exception("reset_not_sent")
