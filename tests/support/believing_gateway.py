"""A gateway as a process of its own that believes an owner's name; for benches of what limits cost."""

import asyncio
import signal
import sys

from common.logs import configure
from gateway.__main__ import gateway
from gateway.heap import keep_freed, leave_alone
from gateway.settings import GatewaySettings
from support.doors import BelievingDoor


async def main() -> None:
    """Serve until SIGTERM; the address is the one line of standard output."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = GatewaySettings()
    configure("gateway", settings.log_level)
    keep_freed()
    async with gateway(settings, door=BelievingDoor()) as url:
        leave_alone()
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
