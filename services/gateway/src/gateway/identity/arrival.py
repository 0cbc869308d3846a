"""How somebody who has shown who they are gets in: a session and its first tokens."""

from aiohttp import web

from gateway.answers import json_answer
from gateway.callers import Callers
from gateway.identity.account import AccountRow
from gateway.identity.account_store import AccountStore
from gateway.identity.models import Profile, Tokens
from gateway.identity.ports import AccessTokens
from gateway.identity.refresh import RefreshToken
from gateway.identity.session_store import SessionStore
from gateway.problems import BAD_CREDENTIALS, Problem

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="scribewire"'}


class Arrival:
    """Opens sessions and says what belongs to them."""

    def __init__(
        self, *, accounts: AccountStore, sessions: SessionStore, tokens: AccessTokens, callers: Callers
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._callers = callers

    async def begin(self, request: web.Request, account: AccountRow, *, status: int = 200) -> web.Response:
        """Open a session and answer with its tokens."""
        await self._accounts.logged_in(account.id)
        refresh = await self._sessions.open(
            account.id, agent=self._callers.agent(request), address=self._callers.address(request)
        )
        return await self.go_on(account, refresh, status=status)

    async def go_on(self, account: AccountRow, refresh: RefreshToken, *, status: int = 200) -> web.Response:
        """Answer with the tokens of a session there is."""
        access, seconds = await self._tokens.issue(account, refresh.session)
        person = await self._accounts.person(account.id)
        if person is None:
            raise Problem(BAD_CREDENTIALS, "The account was just deleted.", headers=CHALLENGE)
        return json_answer(
            Tokens(access_token=access, refresh_token=refresh.text, expires_in=seconds, user=Profile.of(person)),
            status=status,
        )
