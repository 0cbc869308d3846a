"""Takes every path, and with newer kernels TCP, foreign signals and abstract sockets, from this process for good."""

import ctypes
import os

from transcoder.worker import kernel

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1

_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights on files that are known from a version of Landlock on: all there are."""

_TCP = 0b11
_SCOPES = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def forbid_paths() -> int:
    """Forbid all that Landlock knows, with no exception; return its version.

    What is open stays open. `transcoder.worker.kernel.forbid_new_privileges` has to come first.

    Raises
    ------
    OSError
        When the kernel has no Landlock.
    """
    version = kernel.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    rights = _Ruleset(
        _FILES[max(known for known in _FILES if known <= version)],
        _TCP if version >= 4 else 0,
        _SCOPES if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.byref(rights), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        kernel.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version
