"""Forks a fresh child for each file, so that nothing of one survives into the next, and tells how each ended."""

import array
import gc
import os
import resource
import selectors
import signal
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from common.audio_formats import AUDIO_FORMATS
from transcoder.worker.child import Order, live
from transcoder.worker.sandbox import leave_files, leave_network
from transcoder.worker.warm import warm_up

STATUS = struct.Struct("<i")
"""The one message on a leash: a child's exit status, negative for the signal that ended it. A leash that ends without
it says that there was no child."""

FORK = b"f"
"""The order to decode: sent with three descriptors, the file, the pipe for what comes of it, and the leash."""

KEEP: Mapping[bytes, str] = {bytes([number]): name for number, name in enumerate(AUDIO_FORMATS)}
"""Orders to decode, and to write the audio in a format as well; a byte each, so that none comes in two parts."""

_DESCRIPTORS = 3
_FAILED = 70


class Zygote:
    """Waits for orders; it never reads a byte of a file itself.

    A child lives no longer than its leash: when the service lets go of the other end, the child is killed. When the
    service closes the line, or ends, all of them are.
    """

    def __init__(self, line: socket.socket, order: Order) -> None:
        self._line = line
        self._order = order
        leave_files()
        self._network_left = leave_network()
        self._children: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until the line is closed."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        self._selector.register(self._line, selectors.EVENT_READ)
        warm_up()
        gc.freeze()  # what every child shares need not be copied because its reference counts were looked at
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._line:
                    if not self._take_order():
                        return
                elif key.fd == woken:
                    with suppress(BlockingIOError):
                        os.read(woken, 4096)
                elif isinstance(key.data, int):
                    self._let_go(key.data)
            self._reap()

    def end(self) -> None:
        """Kill every child."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _take_order(self) -> bool:
        descriptors = array.array("i")
        order, ancillary, _, _ = self._line.recvmsg(1, socket.CMSG_SPACE(_DESCRIPTORS * descriptors.itemsize))
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        if (order == FORK or order in KEEP) and len(descriptors) == _DESCRIPTORS:
            source, pipe, leash = descriptors
            self._fork(source, pipe, socket.socket(fileno=leash), KEEP.get(order))
        return bool(order)

    def _fork(self, source: int, pipe: int, leash: socket.socket, target: str | None) -> None:
        try:
            pid = os.fork()
        except OSError:  # too many processes, or too little memory, just now: this file can come again
            os.close(source)
            os.close(pipe)
            leash.close()
            return
        if pid == 0:
            status = _FAILED
            try:
                signal.set_wakeup_fd(-1)
                gc.disable()  # it makes no cycles, and looking for them would copy what is shared
                live(self._order, source, pipe, self._network_left, target)
                status = 0
            finally:
                os._exit(status)
        os.close(source)
        os.close(pipe)
        self._children[pid] = leash
        self._selector.register(leash, selectors.EVENT_READ, pid)

    def _let_go(self, pid: int) -> None:
        """Nothing is ever sent along a leash to here, so it has been let go."""
        self._selector.unregister(self._children[pid])
        os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            leash = self._children.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(leash)
            with suppress(OSError):
                leash.send(STATUS.pack(self._ended(os.waitstatus_to_exitcode(status), used)))
            leash.close()

    def _ended(self, status: int, used: resource.struct_rusage) -> int:
        """The exit status to tell: who shut its ears to `SIGXCPU` was killed for its computing time all the same."""
        spent = used.ru_utime + used.ru_stime
        beyond = status == -signal.SIGKILL and spent >= self._order.limits.cpu_seconds
        return -signal.SIGXCPU if beyond else status
