"""Starts the process that forks workers; its line to the service is its standard input, its orders its argument."""

import json
import os
import socket
import sys

from transcoder.worker.child import Order
from transcoder.worker.sandbox import Limits
from transcoder.worker.zygote import Zygote


def main() -> None:
    """Serve until the service closes the line."""
    given = json.loads(sys.argv[1])
    order = Order(limits=Limits(**given["limits"]), max_seconds=given["max_seconds"])
    zygote = Zygote(socket.socket(fileno=os.dup(0)), order)
    try:
        zygote.run()
    finally:
        zygote.end()


if __name__ == "__main__":
    main()
