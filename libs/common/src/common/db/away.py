"""What asyncpg raises while PostgreSQL is down, starting, stopping or full: the same call may succeed later."""

import asyncpg

AWAY: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
)
"""A table or column that is not there yet counts as well: the migration has still to run.

`asyncpg.InternalClientError` ("another operation is in progress") is what a statement meets on a connection that was
told just now, and unasked, that the server shuts down.
"""
