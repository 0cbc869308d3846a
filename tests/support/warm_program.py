"""Be `scribewire`, again and again: imports it once, and forks for each run that is asked for on standard input.

A request is a line of JSON, ``{"words", "environment", "files"}``, the files being for the run's three streams; the
answer is a line with its exit status.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence

import httpcore  # noqa: F401 - httpx imports it with its first client

from scribewire.cli import main


def be(words: Sequence[str], environment: Mapping[str, str], files: Sequence[str]) -> None:
    """Run the command line to its end, which is this process's."""
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
        os.dup2(os.open(file, flags, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - for good
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["scribewire", *words]
    main()


def serve() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        if (child := os.fork()) == 0:
            be(**request)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
