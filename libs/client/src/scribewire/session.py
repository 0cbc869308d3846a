"""A login as a credential: an access token that lives for minutes, renewed with a refresh token that is used once."""

import time
from typing import cast

import httpx

from scribewire.caller import ApiKey, Caller, json_of
from scribewire.connection import settings
from scribewire.errors import LoggedOut, Problem
from scribewire.flow import Request, run
from scribewire.logins import Keep, Login
from scribewire.models import Tokens

EARLY = 30.0
"""Seconds before its end at which a token is renewed: it must still hold when the request arrives."""

ANSWER = 4.0
"""Seconds to wait for new tokens: when the answer is lost, the gateway takes the old one again for ten seconds."""


class Session:
    """Shows who is logged in, and stays logged in.

    A refresh token that is used twice ends the whole login, for it might have been stolen. So who renews is alone,
    looks first whether another process just did, and keeps the new token before using it.

    Parameters
    ----------
    url
        Of the gateway.
    keep
        Where the login is.
    patience
        Seconds for which a gateway that is away or busy is asked again.
    """

    def __init__(self, url: str, keep: Keep, *, patience: float = 60.0) -> None:
        self._url = url
        self._keep = keep
        self._caller = Caller(url, ApiKey(""), patience)
        self._login = keep.read()
        self._user = self._login.user if self._login else None

    @property
    def login(self) -> Login | None:
        """The login as last seen."""
        return self._login

    def token(self) -> str:
        """The access token; empty when nobody is logged in."""
        return self._login.access if self._login else ""

    def expiring(self) -> bool:
        """Whether the access token ends in half a minute."""
        return self._login is not None and self._login.expires < time.time() + EARLY

    def renew(self, used: str) -> bool:
        """Get an access token other than the one that was used, asking the gateway unless somebody else did.

        Raises
        ------
        LoggedOut
            When the gateway does not take the refresh token, or the login was ended here or gave way to another
            account's.
        """
        with self._keep.alone():
            kept = self._keep.read()
            if kept is None:
                self._login = None
                raise LoggedOut("the login has ended: log in again")
            if self._user not in {None, kept.user}:
                # Whoever logs in elsewhere does not mean this program to go on in their name.
                raise LoggedOut(f"it was begun as {self._user}, and now {kept.user} is logged in: begin it again")
            if kept.access == used:
                kept = self._refresh(kept)
            self._login = kept
        return True

    def accept(self, tokens: Tokens, user: str) -> None:
        """Begin a login with the tokens that the gateway gave for a password."""
        with self._keep.alone():
            self._login, self._user = _login(tokens, user), user
            self._keep.write(self._login)

    def forget(self) -> None:
        """End the login here, unless another account's took its place."""
        with self._keep.alone():
            self._login = None
            kept = self._keep.read()
            if kept is not None and kept.user == self._user:
                self._keep.write(None)

    def _refresh(self, kept: Login) -> Login:
        request = Request(
            method="POST",
            path="/auth/refresh",
            document={"refresh_token": kept.refresh},
            # After a cut nobody knows whether the token was used. The gateway forgives a repetition that comes at
            # once; one that comes too late loses nothing, as the token that took its place is lost already.
            repeatable=True,
            known=False,
        )
        with httpx.Client(**settings(self._url) | {"timeout": ANSWER}) as http:
            try:
                answer = run(self._caller.send(request), http)
            except Problem as problem:
                if problem.status not in {400, 401, 403}:
                    raise
                self._keep.write(None)
                raise LoggedOut(f"the login has ended: log in again ({problem})") from problem
        fresh = _login(cast("Tokens", json_of(answer)), kept.user)
        self._keep.write(fresh)
        return fresh


def _login(tokens: Tokens, user: str) -> Login:
    expires = time.time() + float(tokens["expires_in"])
    return Login(tokens["access_token"], tokens["refresh_token"], expires, user)
