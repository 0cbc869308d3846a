"""Commands for the keys of what PostgreSQL keeps encrypted: ``python -m common.encryption``.

- ``generate [FILE]``: a new key at the end of the file, where it only decrypts. Have every process get the file.
- ``promote KEY [FILE]``: the key becomes the first, and encrypts. Have every process get the file.
- ``rotate``: encrypt anew what older keys had encrypted, and encrypt what an earlier release left in clear.
- ``status``: how many texts each key made.
- ``retire``: take the older keys out, unless a text still needs one.

Processes see that the file has changed; none is restarted. Without FILE it is that of SCRIBEWIRE_ENCRYPTION_KEYS_FILE.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import asyncpg

from common import keyfile
from common.crypt import Crypt, CryptSettings
from common.db.encrypted import ENCRYPTED, Uses, uses
from common.db.rotate import rotate

SETTLED = 60.0
"""Seconds after a change of the file before keys are taken out: what was encrypted just before it is stored by then."""


def main(arguments: list[str]) -> int:
    """Run a command; return its exit status: 0, 1 when it could not be done, 2 for wrong use or wrong keys."""
    parser = argparse.ArgumentParser(
        prog="python -m common.encryption", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("generate", help="add a key").add_argument("file", nargs="?", type=Path)
    promote = commands.add_parser("promote", help="encrypt with a key from now on")
    promote.add_argument("key", help="its name, as generate and status show it")
    promote.add_argument("file", nargs="?", type=Path)
    for name, about in (("rotate", "encrypt anew"), ("status", "count texts by key"), ("retire", "drop older keys")):
        commands.add_parser(name, help=about)
    asked = parser.parse_args(arguments)
    try:
        match asked.command:
            case "generate":
                sys.stdout.write(f"{keyfile.generate(asked.file or CryptSettings().encryption_keys_file)}\n")
                return 0
            case "promote":
                keyfile.promote(asked.file or CryptSettings().encryption_keys_file, asked.key)
                return 0
            case "rotate":
                return _rotate(CryptSettings())
            case "status":
                return _status(CryptSettings())
            case _:
                return _retire(CryptSettings())
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return _failed(f"the database does not do it ({type(error).__name__})", 1)
    except ValueError as error:
        return _failed(str(error), 2)


def _rotate(settings: CryptSettings) -> int:
    done = asyncio.run(rotate(settings.database_url, Crypt(keyfile.read(settings.encryption_keys_file))))
    for column, what in done.items():
        sys.stdout.write(f"{column}: {what.renewed} encrypted anew\n")
    lost = {column: what.unreadable for column, what in done.items() if what.unreadable}
    return _failed(f"made with a key that is not in the file: {_listed(lost)}", 1) if lost else 0


def _status(settings: CryptSettings) -> int:
    keys = keyfile.read(settings.encryption_keys_file)
    counted = asyncio.run(_uses(settings, keys))
    for number, key in enumerate(keys):
        texts = sum(column.by_key.get(number, 0) for column in counted.values())
        sys.stdout.write(f"{keyfile.name(key)}: {texts} texts{'' if number else '; it encrypts'}\n")
    for what, found in (
        ("in clear", {name: column.clear for name, column in counted.items() if column.clear}),
        ("made with a key that is not in the file", {n: c.unreadable for n, c in counted.items() if c.unreadable}),
    ):
        if found:
            sys.stdout.write(f"{what}: {_listed(found)}\n")
    return 0


def _retire(settings: CryptSettings) -> int:
    path = settings.encryption_keys_file
    keys = keyfile.read(path)
    if len(keys) == 1:
        return 0
    if (since := time.time() - path.stat().st_mtime) < SETTLED:
        wait = SETTLED - max(since, 0)
        return _failed(f"the keys were just changed; for what is under way, try again in {wait:.0f} s", 1)
    counted = asyncio.run(_uses(settings, keys))
    needed = {name: column.older for name, column in counted.items() if column.older}
    if needed:
        return _failed(f"an older key is still needed, run rotate: {_listed(needed)}", 1)
    keyfile.keep_first(path, keys)
    sys.stdout.write("".join(f"{keyfile.name(key)} is out\n" for key in keys[1:]))
    return 0


async def _uses(settings: CryptSettings, keys: list[str]) -> dict[str, Uses]:
    crypt = Crypt(keys)
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=10)
    try:
        return {one.name: await uses(connection, one, crypt) for one in ENCRYPTED}
    finally:
        await connection.close()


def _listed(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.items())


def _failed(reason: str, status: int) -> int:
    sys.stderr.write(f"encryption: {reason}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
