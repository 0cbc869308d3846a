"""Accounts, logins, keys and usage, asynchronous."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio.to_thread

from scribewire.aio.calling import AsyncCalling
from scribewire.errors import LoggedOut, Problem
from scribewire.models import Account, Key, NewKey, Registered, Tokens
from scribewire.verbs import people


class AsyncPeople(AsyncCalling):
    """Who calls, and what opens the door."""

    async def register(
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
        answer = await self._run(people.register(self._caller, document))
        if "access_token" in answer:
            tokens = cast("Tokens", answer)
            self._session().accept(tokens, people.name_in(tokens, email))
        return answer

    async def login(self, user: str, password: str) -> Tokens:
        """Log in with an e-mail address or a user name; this client stays logged in and renews its tokens by itself.

        The login is kept where the gateway's ``keep`` says, otherwise as long as the client.
        """
        tokens = await self._run(people.login(self._caller, user, password))
        self._session().accept(tokens, people.name_in(tokens, user))
        return tokens

    async def logout(self, *, everywhere: bool = False) -> None:
        """End the login, here and at the gateway; or every login of the account."""
        try:
            await self._run(people.logout(self._caller, everywhere=everywhere))
        except LoggedOut:
            return
        except Problem as problem:
            if problem.status != 401:
                raise
        self._session().forget()

    async def change_password(self, current: str, new: str) -> None:
        """Set another password; every other login of the account ends."""
        await self._run(people.change_password(self._caller, current, new))

    async def account(self) -> Account:
        """Show who is calling."""
        return await self._run(people.account(self._caller))

    async def export(self, into: Path | BinaryIO, *, recordings: bool = True) -> None:
        """Write everything of the account to a ZIP file, streamed; the recordings themselves where wished."""
        if isinstance(into, Path):
            with await anyio.to_thread.run_sync(into.open, "w+b") as file:
                await self._run(people.export(self._caller, cast("BinaryIO", file), recordings=recordings))
        else:
            await self._run(people.export(self._caller, into, recordings=recordings))

    async def delete_account(self, confirmation: Mapping[str, Any] | None = None) -> None:
        """Erase the account with every job, file, key and login of it; there is no way back.

        Parameters
        ----------
        confirmation
            What the gateway wants to see with it, such as ``password``.
        """
        await self._run(people.delete_account(self._caller, confirmation))

    async def usage(self) -> dict[str, Any]:
        """What was used in the present period."""
        return await self._run(people.usage(self._caller))

    async def limits(self) -> dict[str, Any]:
        """What may be used."""
        return await self._run(people.limits(self._caller))

    async def create_key(
        self,
        name: str,
        scopes: Sequence[str] | None = None,
        *,
        expires_at: datetime | None = None,
        expires_in_days: int | None = None,
    ) -> NewKey:
        """Make a key; its ``key`` is shown this once."""
        call = people.create_key(self._caller, name, scopes, expires_at=expires_at, expires_in_days=expires_in_days)
        return await self._run(call)

    async def keys(self) -> list[Key]:
        """Every key that is not revoked, without its secret."""
        return await self._run(people.keys(self._caller))

    async def rotate_key(self, key_id: str, *, grace_seconds: int | None = None) -> NewKey:
        """Make a key that takes the place of another; the old one stays valid for a grace, by default a day."""
        return await self._run(people.rotate_key(self._caller, key_id, grace_seconds))

    async def revoke_key(self, key_id: str) -> None:
        """End a key at once."""
        await self._run(people.revoke_key(self._caller, key_id))
