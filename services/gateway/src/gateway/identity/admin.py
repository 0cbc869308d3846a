"""The first admin, made by whoever runs the service: ``python -m gateway.identity.admin create-admin --email …``.

The password is asked for, read from standard input, or made here and shown once; there is no password by default.
"""

import argparse
import asyncio
import getpass
import secrets
import sys

import asyncpg
from pydantic import ValidationError

from common.crypt import Crypt, CryptSettings
from common.db.pool import open_pool
from gateway.database import Database, StoreUnavailable
from gateway.identity import rules
from gateway.identity.account_store import AccountStore, NewAccount, Taken
from gateway.identity.passwords import Passwords

RECORD = """
INSERT INTO audit_log (id, at, actor, action, details)
VALUES (gen_random_uuid(), now(), 'operator', 'admin.created', jsonb_build_object('account', $1::text))"""


def main(arguments: list[str]) -> int:
    """Run a command; return its exit status: 0, 1 when it could not be done, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m gateway.identity.admin", description=__doc__)
    create = parser.add_subparsers(required=True).add_parser("create-admin", help="make an account with the role admin")
    create.add_argument("--email", required=True)
    create.add_argument("--username")
    how = create.add_mutually_exclusive_group()
    how.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    how.add_argument("--generate", action="store_true", help="make a password and show it, once")
    asked = parser.parse_args(arguments)
    try:
        email = rules.email(asked.email)
        username = rules.username(asked.username) if asked.username else None
        password = rules.password(_password(asked))
        settings = CryptSettings()
        crypt = Crypt.of_file(settings.encryption_keys_file)
    except ValidationError as error:
        sys.stderr.write(f"create-admin: {error}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"create-admin: it {error}\n")
        return 2
    try:
        account = asyncio.run(_create(settings, crypt, email, username, password))
    except Taken as taken:
        sys.stderr.write(
            f"create-admin: there is an account with this {taken.field}; give it the role with "
            'PATCH /v1/admin/accounts/ID {"role": "admin"} and the operator\'s key\n'
        )
        return 1
    except (StoreUnavailable, asyncpg.PostgresError) as error:
        sys.stderr.write(f"create-admin: the database does not do it ({type(error).__name__})\n")
        return 1
    sys.stdout.write(f"{account}\n")
    if asked.generate:
        sys.stdout.write(f"password: {password}\n")
    return 0


def _password(asked: argparse.Namespace) -> str:
    if asked.generate:
        # Letters of both cases and digits are what the rules ask for, whatever comes out by chance.
        return f"{secrets.token_urlsafe(18)}-aA{secrets.randbelow(10)}"
    if asked.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Once more: "):
        msg = "was typed in two ways"
        raise ValueError(msg)
    return first


async def _create(settings: CryptSettings, crypt: Crypt, email: str, username: str | None, password: str) -> str:
    passwords = Passwords(at_once=1)
    try:
        async with open_pool(settings, size=1) as pool:
            database = Database(pool, seconds=10)
            new = NewAccount(
                email=email,
                username=username,
                password_hash=await passwords.hash(password),
                role="admin",
                plan="enterprise",
                confirmed=True,
                consents={},
            )
            # One transaction: no admin whom the audit log does not know of.
            async with database.connection() as connection, connection.transaction():
                account = await AccountStore(database, crypt).add_within(connection, new)
                await connection.execute(RECORD, account.owner)
    finally:
        passwords.close()
    return account.owner


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
