"""Whether somebody is writing to a file, where the system tells."""

import os
import sys
from errno import EAGAIN
from pathlib import Path

if sys.platform == "linux":
    import fcntl
    import signal

    def being_written(path: Path) -> bool:
        """Whether any program has the file open for writing.

        Linux tells by refusing a lease to read. It is asked for only of one's own files, or as root, and not on every
        network drive; where nothing can be known the answer is False. On NFS and SMB it is about this machine's
        programs alone.

        Raises
        ------
        OSError
            When the file cannot be opened.
        """
        try:
            # Not waiting for who has a lease on it, as Samba does for its writers, nor for a pipe.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except BlockingIOError:
            return True
        try:
            # Who opens the file for writing before the lease is given back waits until then, and we are told by a
            # signal: one that does nothing, rather than SIGIO, which would end the process.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return error.errno == EAGAIN
        finally:
            os.close(descriptor)
        return False

else:

    def being_written(path: Path) -> bool:
        """Whether any program has the file open for writing; nobody tells here."""
        return False
