"""Who of another issuer is which account of ours."""

from uuid import UUID, uuid4

from gateway.database import Database
from gateway.identity.ended import EndedIdentities
from gateway.identity.refused import Refused

FIND = "SELECT account_id FROM oidc_identities WHERE issuer = $1 AND subject = $2"

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 1))"

ADD_ACCOUNT = "INSERT INTO accounts (id, created_at, updated_at) VALUES ($1, now(), now())"

ADD = "INSERT INTO oidc_identities (issuer, subject, account_id) VALUES ($1, $2, $3)"


class Identities:
    """Identities at other issuers; raises `StoreUnavailable`."""

    def __init__(self, database: Database, ended: EndedIdentities) -> None:
        self._database = database
        self._ended = ended

    async def account(self, issuer: str, subject: str, issued: float) -> tuple[UUID, bool]:
        """The account of an identity, made when it is seen for the first time; and whether it was made now.

        It is a new account in any case: none is given to whoever has its e-mail address at an issuer, for what an
        issuer says of an address need not be true. Who ended their account gets another one by logging in again, and
        not by a token from before.

        Parameters
        ----------
        issued
            When the token was issued (epoch seconds).

        Raises
        ------
        Refused
            The account was ended after the token was issued, or the token is too old to tell.
        """
        async with self._database.connection() as connection:
            known: UUID | None = await connection.fetchval(FIND, issuer, subject)
            if known is not None:
                return known, False
            async with connection.transaction():
                await connection.execute(ONE_AT_A_TIME, issuer, subject)
                known = await connection.fetchval(FIND, issuer, subject)
                if known is not None:
                    return known, False
                if not await self._ended.is_new(connection, issuer, subject, issued):
                    raise Refused("account_ended")
                account = uuid4()
                await connection.execute(ADD_ACCOUNT, account)
                await connection.execute(ADD, issuer, subject, account)
                return account, True
