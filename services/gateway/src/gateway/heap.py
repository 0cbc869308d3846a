"""What the C library does with memory that is free again, and how often Python looks for more of it."""

import ctypes
import gc

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
"""As in glibc's ``malloc.h``."""

_LARGEST_REUSED = 4 * 1024 * 1024
"""Bytes of the largest block taken from the heap; a larger one is mapped for itself and unmapped again."""

_KEPT = 16 * 1024 * 1024
"""Free bytes at the end of each heap (a thread may have its own) that are kept rather than given back."""


_NEW_OBJECTS = 10_000
"""How many more objects there may be before the collector looks for cycles among the new ones; 700 as Python is set."""


def leave_alone() -> None:
    """Have the garbage collector pass over what there is by now, and look less often at what is new.

    Called when everything is open: modules, models and routes, hundreds of thousands of objects, stay to the end, and
    looking through them again and again found nothing. Requests leave few cycles, and those are still found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def keep_freed() -> bool:
    """Use freed memory again instead of giving it back and asking for it anew.

    An upload takes and frees a block of 256 KiB for every read. As glibc is set, that gives pages back and faults them
    in again, 60,000 times for a GiB, which was a tenth of an upload's CPU time.

    Returns
    -------
    bool
        Whether the C library took the advice; one that is not glibc need not know it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(_MMAP_THRESHOLD, _LARGEST_REUSED) == 1, mallopt(_TRIM_THRESHOLD, _KEPT) == 1])
