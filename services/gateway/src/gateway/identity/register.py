"""New accounts, and addresses that are confirmed by answering a mail."""

from datetime import timedelta
from uuid import UUID

from aiohttp import web

from gateway.answers import json_answer
from gateway.callers import Callers
from gateway.identity import letters
from gateway.identity.account import AccountRow, Person
from gateway.identity.account_store import CONSENTS, AccountStore, Changed, NewAccount, Taken
from gateway.identity.arrival import Arrival
from gateway.identity.confirmation import Confirmations
from gateway.identity.login import place_of
from gateway.identity.mailbox import Mailbox
from gateway.identity.models import ConfirmEmail, Registration, Said
from gateway.identity.passwords import Passwords
from gateway.identity.ports import Audit
from gateway.identity.throttle import Limit, Throttle, mail_limit
from gateway.problems import BAD_TOKEN, TAKEN, Problem
from gateway.routing import body_of

_HOUR = timedelta(hours=1)


class RegisterApi:
    """The handlers of `register` and `confirm`.

    With a mail server, registering answers the same for a free address and for one that has an account: a mail tells
    its owner, and the account is made when the mail is answered. Without one there is no such way, so the account is
    made at once, and an address that is taken is said to be; only so many may be tried from one place.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        passwords: Passwords,
        throttle: Throttle,
        arrival: Arrival,
        mailbox: Mailbox,
        confirmations: Confirmations,
        audit: Audit,
        callers: Callers,
        base: str,
        confirm: bool,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle
        self._arrival = arrival
        self._mailbox = mailbox
        self._confirmations = confirmations
        self._audit = audit
        self._callers = callers
        self._base = base
        self._confirm = confirm

    async def register(self, request: web.Request) -> web.Response:
        """POST register: 201 with tokens, or 202 when a mail has to be answered first."""
        body = body_of(request, Registration)
        await self._throttle.take([address_limit(self._callers, request)])
        # Hashed in every case: how long it takes must not tell who has an account.
        new = NewAccount(
            **body.model_dump(include={"email", "username", "first_name", "last_name", "company"}),
            password_hash=await self._passwords.hash(body.password),
            consents=body.model_dump(include=set(CONSENTS)),
        )
        if self._confirm:
            return await self._by_mail(new)
        return await self._arrival.begin(request, await self._made(request, new), status=201)

    async def confirm(self, request: web.Request) -> web.Response:
        """POST confirm: what the mail was about; 201 with tokens for a registration, 200 for a new address."""
        answered = await self.answered(request, body_of(request, ConfirmEmail).token)
        if isinstance(answered, AccountRow):
            return await self._arrival.begin(request, answered, status=201)
        return json_answer(Said(status="done", detail="The address is confirmed."))

    async def answered(self, request: web.Request, token: str) -> AccountRow | None:
        """Do what a mail's token is for; the account when it made one; a 422 problem when the token is no good."""
        confirmation = self._confirmations.read(token)
        if confirmation is None:
            raise bad_token("register again" if self._confirm else "ask for another one")
        if confirmation.purpose == "register":
            return await self._made(request, NewAccount(**confirmation.values, confirmed=True))
        await self._new_address(request, **confirmation.values)
        return None

    async def _by_mail(self, new: NewAccount) -> web.Response:
        taken = await self._accounts.taken(new.email, new.username)
        if taken == "username":
            raise _taken(Taken("username"))
        token = self._confirmations.token(
            "register", **{name: getattr(new, name) for name in NewAccount.__slots__ if name != "confirmed"}
        )
        email = new.email or ""
        letter = letters.welcome(self._base, token, self._confirmations.hours)
        if taken == "email":
            letter = letters.already_there(self._base)
        if await self._throttle.allowed(mail_limit(email)):
            await self._mailbox.put(letter, email)
        return json_answer(
            Said(status="mail_sent", detail="Answer the mail that was sent to this address."), status=202
        )

    async def _made(self, request: web.Request, new: NewAccount) -> AccountRow:
        try:
            account = await self._accounts.add(new, address=self._callers.address(request))
        except Taken as taken:
            raise _taken(taken) from None
        await self._audit(request, "account.registered", actor=account.owner)
        return account

    async def _new_address(self, request: web.Request, *, account: str, standing: str, new: str) -> None:
        owner = UUID(account)
        person = await self._accounts.person(owner)
        # The address may have been changed since, or the token used: it is for one step only. And who set another
        # password has shut out whoever asked for this with the one before.
        if person is None or not person.account.is_active or person.standing != standing:
            raise bad_token("ask for another one")
        try:
            await change_address(
                request, self._accounts, self._mailbox, self._audit, person=person, email=new, confirmed=True
            )
        except Changed:  # by another who came with it at the same moment
            raise bad_token("ask for another one") from None


def address_limit(callers: Callers, request: web.Request) -> Limit:
    """The limit of asking whether addresses are free, from one place."""
    return Limit(f"register from {place_of(callers, request)}", 20, forgotten=_HOUR)


async def change_address(
    request: web.Request,
    accounts: AccountStore,
    mailbox: Mailbox,
    audit: Audit,
    *,
    person: Person,
    email: str,
    confirmed: bool,
) -> None:
    """Give an account another address and tell the old one.

    Raises
    ------
    Problem
        409 when somebody has the address.
    Changed
        When the account is not any more as it was seen; nothing was done.
    """
    account = person.account
    try:
        await accounts.move(person, email, confirmed=confirmed)
    except Taken as taken:
        raise _taken(taken) from None
    if account.email is not None:
        await mailbox.put(letters.address_changed(letters.masked(email)), account.email, account=account.id)
    await audit(request, "account.address_changed", actor=account.owner)


def _taken(taken: Taken) -> Problem:
    what = {"email": "e-mail address", "username": "user name"}[taken.field]
    return Problem(TAKEN, f"This {what} has an account already.", errors=[(taken.field, "is taken")])


def bad_token(instead: str) -> Problem:
    """The 422 problem of a token that is good no more."""
    return Problem(
        BAD_TOKEN, f"The token was used, is too old or is none; {instead}.", errors=[("token", "is not valid any more")]
    )
