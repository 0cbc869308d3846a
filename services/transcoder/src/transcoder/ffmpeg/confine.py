"""Runs a program that reads untrusted bytes: in its own process group, under limits, ended as a whole."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypedDict

READ_BYTES = 64 * 1024
"""Bytes asked of a pipe at once: two seconds of audio."""

_LIMIT_AND_RUN = """
ulimit -c 0; ulimit -f 0; ulimit -n 32
cpu=$1; memory=$2; shift 2
ulimit -S -t "$cpu"; ulimit -H -t "$((cpu + 30))"
case $memory in -) ;; *) ulimit -v "$memory" ;; esac
exec "$@"
"""
# A shell sets the limits and becomes the program: they hold before its first instruction, which `prlimit` after the
# start cannot promise, and need no `preexec_fn`, which is unsafe beside threads. Measured: 1.3 ms of an 11 ms start.
# There is no limit on processes: that one counts everything its user runs, whoever started it.


@dataclass(frozen=True)
class Limits:
    """What a program may use: CPU seconds and MiB of address space (None where the system cannot limit it).

    It may write no file at all (pipes do not count) and open 32.
    """

    cpu_seconds: int
    memory_mib: int | None


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: Sequence[int]


def _identity(uid: int | None) -> _Identity:
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": ()}


@asynccontextmanager
async def confined(
    argv: Sequence[str], limits: Limits, *, keep: Sequence[int] = (), uid: int | None = None
) -> AsyncIterator[Process]:
    """Start a program with pipes for its output and errors; kill whatever is left of it when the context ends.

    Parameters
    ----------
    argv
        The program and its arguments.
    limits
        What it may use.
    keep
        File descriptors it inherits, under the same numbers; it gets no others.
    uid
        User and group to run as, only possible as root; None for our own.

    Raises
    ------
    OSError
        When the program cannot be started as that user.
    """
    memory = "-" if limits.memory_mib is None else str(limits.memory_mib * 1024)
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", _LIMIT_AND_RUN, "sh", str(limits.cpu_seconds), memory, *argv,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        start_new_session=True, pass_fds=keep, cwd="/", env={"PATH": os.defpath, "LC_ALL": "C"},
        limit=READ_BYTES, **_identity(uid),
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdout, process.stderr):
            while pipe is not None and await pipe.read(READ_BYTES):
                pass  # asyncio forgets a child only after its pipes have been read to the end
        await process.wait()
