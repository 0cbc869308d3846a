"""A file's content as the file system knows it, without reading it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """Another content has another signature; ``size`` in bytes, ``mtime_ns`` in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Signature":
        """The signature in what the file system says of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.device}-{self.inode}-{self.size}-{self.mtime_ns}"
