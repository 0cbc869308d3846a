"""Leaves a process the system calls that computing, memory and its open descriptors need, and no other."""

import ctypes
import errno
import fcntl
import platform
from collections.abc import Iterator, Mapping
from functools import cache

from transcoder.worker import kernel

_CALLS: Mapping[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "munmap": (11, 215),
    "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66), "sched_yield": (24, 124), "mremap": (25, 216),
    "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172), "exit": (60, 93),
    "gettimeofday": (96, 169), "sigaltstack": (131, 132), "gettid": (186, 178),
    "futex": (202, 98), "sched_getaffinity": (204, 123), "restart_syscall": (219, 128), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "newfstatat": (262, 79), "set_robust_list": (273, 99),
    "getrandom": (318, 278), "rseq": (334, 293),
}  # fmt: skip
"""Numbers on x86-64 and on ARM64. `newfstatat` is how the C library asks for the size of an open file."""

_MAPPING: Mapping[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
"""Allowed as long as the memory is not to be executed."""

_FCNTL = (72, 25)
_COMMANDS = (fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC)
"""What `fcntl` may be asked: others let the kernel send signals to any process of the same user in our name."""

_MACHINES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}
"""The column of the tables, and what the kernel calls the architecture."""

_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _COMMAND, _PROTECTION = 0, 4, 24, 32
_PROT_EXEC = 4
_ALLOW, _REFUSE, _KILL = 0x7FFF_0000, 0x0005_0000 | errno.EPERM, 0x8000_0000


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("then", ctypes.c_uint8), ("other", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def allow_only_computing() -> None:
    """Refuse every system call that is not on the list with ``EPERM``, for good.

    There is no opening, no socket, no process, no program and no memory that could be executed.

    Raises
    ------
    OSError
        When the system has no seccomp, or its machine is not among those known here.
    """
    kernel.filter_system_calls(program())


@cache
def program() -> ctypes.Structure:
    """Make the filter, once; see `allow_only_computing` for what it raises."""
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, "system calls of this machine are not known", platform.machine())
    instructions = list(_instructions(*_MACHINES[platform.machine()]))
    array = (_Instruction * len(instructions))(*instructions)
    return _Program(len(instructions), array)


def _instructions(column: int, architecture: int) -> Iterator[_Instruction]:
    allowed = [numbers[column] for numbers in _CALLS.values()]
    mapping = [numbers[column] for numbers in _MAPPING.values()]
    yield _Instruction(_LOAD, 0, 0, _ARCHITECTURE)
    yield _Instruction(_IF_EQUAL, 1, 0, architecture)
    yield _Instruction(_RETURN, 0, 0, _KILL)
    yield _Instruction(_LOAD, 0, 0, _NUMBER)
    # Behind the comparisons stand: refuse; look at the protection, refuse if it has the bit, else allow; look at the
    # command, allow those on the list; refuse; allow. Jumps are counted from the instruction behind.
    refuse = len(mapping) + 1 + len(allowed)
    look_at_protection, look_at_command = refuse + 1, refuse + 3
    refuse_again = look_at_command + 1 + len(_COMMANDS)
    allow = refuse_again + 1
    targets = [
        *[(number, look_at_protection) for number in mapping],
        (_FCNTL[column], look_at_command),
        *[(number, allow) for number in allowed],
    ]
    for at, (number, target) in enumerate(targets):
        yield _Instruction(_IF_EQUAL, target - at - 1, 0, number)
    yield _Instruction(_RETURN, 0, 0, _REFUSE)
    yield _Instruction(_LOAD, 0, 0, _PROTECTION)
    yield _Instruction(_IF_ANY_BIT, refuse_again - look_at_protection - 2, allow - look_at_protection - 2, _PROT_EXEC)
    yield _Instruction(_LOAD, 0, 0, _COMMAND)
    for at, command in enumerate(_COMMANDS, look_at_command + 1):
        yield _Instruction(_IF_EQUAL, allow - at - 1, 0, command)
    yield _Instruction(_RETURN, 0, 0, _REFUSE)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)
