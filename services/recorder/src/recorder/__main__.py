"""`python -m recorder [serve|migrate|rebuild]`: where the recorder is joined."""

import asyncio
import sys

from common.db.migrate import migrate

from recorder.settings import Settings


def main() -> int:
    """Run the command that the first argument names."""
    settings = Settings()
    match sys.argv[1:]:
        case ["migrate"]:
            asyncio.run(migrate(settings.database_url, wait=settings.migrate_wait))
        case _:
            sys.stderr.write("usage: python -m recorder [serve|migrate|rebuild]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
