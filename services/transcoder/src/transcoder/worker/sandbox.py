"""What a process gives up before it reads an untrusted byte, layer by layer; a missing layer is named, not hidden."""

import errno
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transcoder.worker import kernel
from transcoder.worker.landlock import forbid_paths
from transcoder.worker.seccomp import allow_only_computing

_DESCRIPTORS = 16
_GRACE_SECONDS = 30


@dataclass(frozen=True)
class Limits:
    """What the decoding of one file may use: CPU seconds, MiB of address space, and the user to become as root."""

    cpu_seconds: int
    memory_mib: int
    uid: int


def leave_network() -> bool:
    """Move this process and its children to an empty network; whether the system allows it."""
    with suppress(OSError):
        alone = 0 if os.geteuid() == 0 else kernel.CLONE_NEWUSER
        kernel.unshare(alone | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)
        return True
    return False


def leave_files() -> None:
    """Go to a folder that is empty and removed, which becomes the root of whoever enters the sandbox from here.

    Landlock and seccomp forbid to open files, not to look whether they are there and how large they are.
    """
    with suppress(OSError):
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        Path(folder).rmdir()


def enter(limits: Limits) -> tuple[list[str], list[str]]:
    """Give up all but computing and the open descriptors, for good; return the layers that hold and those missing."""
    held: list[str] = []
    missing: list[str] = []

    def layer(name: str, build: Callable[[], object]) -> None:
        try:
            build()
        except (OSError, ValueError):
            missing.append(name)
        else:
            held.append(name)

    layer("limits", lambda: _limit(limits))
    layer("empty root", _stay_in_empty_folder)
    if os.geteuid() == 0:
        layer("own user", lambda: _become(limits.uid))
    layer("no capabilities", kernel.drop_capabilities)
    layer("ends with its parent", lambda: kernel.die_with_parent(signal.SIGKILL))
    layer("not traceable", kernel.forbid_tracing)
    layer("no new processes", lambda: resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)))
    layer("no new privileges", kernel.forbid_new_privileges)
    layer("landlock", forbid_paths)
    layer("seccomp", allow_only_computing)
    return held, missing


def _limit(limits: Limits) -> None:
    for what, soft, hard in (
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _GRACE_SECONDS),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS, _DESCRIPTORS),
    ):
        resource.setrlimit(what, (soft, hard))
    if sys.platform == "linux":  # Darwin does not know a limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mib << 20,) * 2)


def _stay_in_empty_folder() -> None:
    if os.path.samestat(os.stat("/"), os.stat(".")):  # noqa: PTH116 - in every child: without new objects
        raise OSError(errno.ENOTEMPTY, "this is no empty folder")
    os.chroot(".")


def _become(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
