"""The few calls to Linux that Python's library does not have; elsewhere each raises `OSError`."""

import ctypes
import errno
import os
import sys

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x2008_0522


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library that returns -1 and sets ``errno`` when it fails."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux has it", name)
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def syscall(number: int, *arguments: object) -> int:
    """Make a system call that the C library has no function for."""
    return call("syscall", ctypes.c_long(number), *arguments)


def unshare(namespaces: int) -> None:
    """Leave namespaces, given as ``CLONE_*`` flags, for new and empty ones."""
    call("unshare", ctypes.c_int(namespaces))


def drop_capabilities() -> None:
    """Give up every capability, which one has inside a user namespace of one's own."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())


def die_with_parent(signal: int) -> None:
    """Have the kernel send ``signal`` when the parent ends. A change of user forgets it."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def forbid_tracing() -> None:
    """Let no other process of the same user look into this one."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """No program that is run from here on gains rights by its file; Landlock and seccomp ask for it."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_system_calls(program: ctypes.Structure) -> None:
    """Install a seccomp filter (``struct sock_fprog``)."""
    call("prctl", _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program))


def rename(name: bytes) -> None:
    """Set the name that process lists show, at most 15 bytes."""
    call("prctl", _PR_SET_NAME, ctypes.c_char_p(name), *[ctypes.c_ulong(0)] * 3)


def _prctl(option: int, value: int) -> None:
    call("prctl", option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3)
