"""A door for tests of what many owners do: it believes an owner's name, which no door of ours may."""

from uuid import UUID

from aiohttp import web

from gateway.principal import OPERATOR, SCOPES, Principal
from gateway.problems import UNAUTHORIZED, Problem
from support.gateway import KEY

USER = SCOPES - {"admin"}


class BelievingDoor:
    """Lets in the operator by the key, and an account by ``Bearer ACCOUNT-ID``, as with a key of its own."""

    async def enter(self, request: web.Request) -> Principal:
        """Who is named."""
        said = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if said == KEY:
            return Principal(owner=OPERATOR, via="operator", scopes=SCOPES, role="admin", plan="enterprise")
        try:
            account = UUID(said)
        except ValueError:
            raise Problem(UNAUTHORIZED, "Name an account.", headers={"WWW-Authenticate": "Bearer"}) from None
        return Principal(owner=str(account), via="key", scopes=USER, credential=account)
