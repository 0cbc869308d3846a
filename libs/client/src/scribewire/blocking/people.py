"""Accounts, logins, keys and usage, blocking."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from scribewire.blocking.calling import Calling
from scribewire.errors import LoggedOut, Problem
from scribewire.models import Account, Key, NewKey, Registered, Tokens
from scribewire.verbs import people


class People(Calling):
    """Who calls, and what opens the door."""

    def register(
        self,
        email: str,
        password: str,
        *,
        username: str | None = None,
        gdpr_consent: bool,
        data_retention_agreed: bool,
        marketing_consent: bool = False,
        **details: str,
    ) -> Registered:
        """Make an account; where the gateway lets it in at once, this client is logged in then.

        Parameters
        ----------
        details
            ``first_name``, ``last_name``, ``company``.

        Raises
        ------
        Problem
            422 names the fields that the gateway does not take.
        """
        document = people.registration(
            email,
            password,
            username=username,
            gdpr_consent=gdpr_consent,
            data_retention_agreed=data_retention_agreed,
            marketing_consent=marketing_consent,
            details=details,
        )
        answer = self._run(people.register(self._caller, document))
        if "access_token" in answer:
            tokens = cast("Tokens", answer)
            self._session().accept(tokens, people.name_in(tokens, email))
        return answer

    def login(self, user: str, password: str) -> Tokens:
        """Log in with an e-mail address or a user name; this client stays logged in and renews its tokens by itself.

        The login is kept where the gateway's ``keep`` says, otherwise as long as the client.
        """
        tokens = self._run(people.login(self._caller, user, password))
        self._session().accept(tokens, people.name_in(tokens, user))
        return tokens

    def logout(self, *, everywhere: bool = False) -> None:
        """End the login, here and at the gateway; or every login of the account."""
        try:
            self._run(people.logout(self._caller, everywhere=everywhere))
        except LoggedOut:
            return
        except Problem as problem:
            if problem.status != 401:
                raise
        self._session().forget()

    def change_password(self, current: str, new: str) -> None:
        """Set another password; every other login of the account ends."""
        self._run(people.change_password(self._caller, current, new))

    def account(self) -> Account:
        """Show who is calling."""
        return self._run(people.account(self._caller))

    def export(self, into: Path | BinaryIO, *, recordings: bool = True) -> None:
        """Write everything of the account to a ZIP file, streamed; the recordings themselves where wished."""
        if isinstance(into, Path):
            with into.open("w+b") as file:
                self._run(people.export(self._caller, file, recordings=recordings))
        else:
            self._run(people.export(self._caller, into, recordings=recordings))

    def delete_account(self, confirmation: Mapping[str, Any] | None = None) -> None:
        """Erase the account with every job, file, key and login of it; there is no way back.

        Parameters
        ----------
        confirmation
            What the gateway wants to see with it, such as ``password``.
        """
        self._run(people.delete_account(self._caller, confirmation))

    def usage(self) -> dict[str, Any]:
        """What was used in the present period."""
        return self._run(people.usage(self._caller))

    def limits(self) -> dict[str, Any]:
        """What may be used."""
        return self._run(people.limits(self._caller))

    def create_key(
        self,
        name: str,
        scopes: Sequence[str] | None = None,
        *,
        expires_at: datetime | None = None,
        expires_in_days: int | None = None,
    ) -> NewKey:
        """Make a key; its ``key`` is shown this once."""
        call = people.create_key(self._caller, name, scopes, expires_at=expires_at, expires_in_days=expires_in_days)
        return self._run(call)

    def keys(self) -> list[Key]:
        """Every key that is not revoked, without its secret."""
        return self._run(people.keys(self._caller))

    def rotate_key(self, key_id: str, *, grace_seconds: int | None = None) -> NewKey:
        """Make a key that takes the place of another; the old one stays valid for a grace, by default a day."""
        return self._run(people.rotate_key(self._caller, key_id, grace_seconds))

    def revoke_key(self, key_id: str) -> None:
        """End a key at once."""
        self._run(people.revoke_key(self._caller, key_id))
