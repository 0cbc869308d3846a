"""What the room of accounts needs of its neighbours."""

from typing import Any, Protocol
from uuid import UUID

from aiohttp import web

from gateway.identity.account import AccountRow


class AccessTokens(Protocol):
    """Makes the short-lived proof of a session."""

    async def issue(self, account: AccountRow, session: UUID) -> tuple[str, int]:
        """A token for an account's session, and the seconds it is valid, at most 900."""
        ...


class Audit(Protocol):
    """Remembers who did what."""

    async def __call__(self, request: web.Request, action: str, *, actor: str | None = None, **details: Any) -> None:
        """Write one line.

        Parameters
        ----------
        request
            Where it was asked for: address and program come from it, and who asked where the door let somebody in.
        action
            What was done, such as ``login.failed``.
        actor
            The owner who did it, where the door does not say; None for a stranger.
        details
            What else is worth knowing, as JSON; never a secret.
        """
        ...
