# ruff: noqa: PTH101, PTH102, PTH108, PTH116, PTH208
"""Tries, from inside the decoder's sandbox, what a file that has taken over the decoder would try."""

import ctypes
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress

from transcoder.worker import child, sandbox
from transcoder.worker.wire import END, HEADER, MEDIA, PCM, READY, Findings, send

_libc = ctypes.CDLL(None, use_errno=True)

_ARM = platform.machine() == "aarch64"
_NUMBERS: Mapping[str, int] = {
    "bpf": 280 if _ARM else 321,
    "execveat": 281 if _ARM else 322,
    "io_uring_setup": 425,
    "keyctl": 219 if _ARM else 250,
    "open_by_handle_at": 265 if _ARM else 304,
    "openat2": 437,
    "perf_event_open": 241 if _ARM else 298,
    "pidfd_getfd": 438,
    "pidfd_open": 434,
    "process_vm_readv": 270 if _ARM else 310,
    "ptrace": 117 if _ARM else 101,
    "statx": 291 if _ARM else 332,
    "tgkill": 131 if _ARM else 234,
    "userfaultfd": 282 if _ARM else 323,
}
_PROT_ALL = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC


def attempts(file: str, blob: str, port: int, service: int) -> Mapping[str, Callable[[], object]]:
    """What is tried, by name; each raises when it is refused.

    Parameters
    ----------
    file, blob
        Paths that every user may read; beside ``file`` lies another that ends in ``.spare``.
    port
        A TCP port on loopback at which somebody listens.
    service
        Process id of the service.
    """
    return {
        "use another descriptor": _descriptors,
        "open a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "open another file": lambda: os.open(file, os.O_RDONLY),
        "open another tenant's upload": lambda: os.open(blob, os.O_RDONLY),
        "open a file by openat2": lambda: _call("openat2", -100, b"/etc/passwd", ctypes.byref(_How()), 24),
        "open the service's memory": lambda: os.open(f"/proc/{service}/mem", os.O_RDONLY),
        "open the service's environment": lambda: os.open(f"/proc/{service}/environ", os.O_RDONLY),
        "open its own memory": lambda: os.open("/proc/self/mem", os.O_RDWR),
        "list a folder": lambda: os.listdir("/"),
        "look at a file": lambda: os.stat("/etc/passwd"),
        "look at another tenant's upload": lambda: os.stat(blob),
        "look at a process": lambda: os.stat(f"/proc/{service}"),
        "look at a file by statx": lambda: _call(
            "statx", -100, b"/etc/passwd", 0, 0xFFF, ctypes.create_string_buffer(256)
        ),
        "write a file": lambda: os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT),
        "make a folder": lambda: os.mkdir(f"{file}.folder"),
        "remove a file": lambda: os.unlink(f"{file}.spare"),
        "link a file": lambda: os.link(file, f"{file}.link"),
        "change a file's mode": lambda: os.chmod(file, 0o777),
        "write to its source": lambda: os.write(3, b"x"),
        "cut its source": lambda: os.ftruncate(3, 0),
        "change its source's mode": lambda: os.fchmod(3, 0o777),
        "make a file in memory": lambda: os.memfd_create("probe"),
        "connect": lambda: _connect(port),
        "send a datagram": lambda: _send(port),
        "make a local socket": socket.socketpair,
        "ask the kernel's network": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "fork": _fork,
        "make a thread": lambda: threading.Thread(target=int).start(),
        "run a program by descriptor": lambda: _call("execveat", 3, b"", None, None, 0x1000),
        "see the service": lambda: os.kill(service, 0),
        "stop the service": lambda: os.kill(service, signal.SIGCONT),
        "signal the service's thread": lambda: _call("tgkill", service, service, signal.SIGCONT),
        "have the kernel signal the service": lambda: _signal_by_pipe(service),
        "trace the service": lambda: _call("ptrace", 16, service, 0, 0),
        "read the service's memory": lambda: _read_memory(service),
        "hold the service": lambda: _call("pidfd_open", service, 0),
        "take the service's descriptors": lambda: _call("pidfd_getfd", 3, 0, 0),
        "become root": lambda: os.setuid(0),
        "leave its namespaces": lambda: _checked(_libc.unshare(0x10000000)),
        "mount": lambda: _checked(_libc.mount(file.encode(), file.encode(), None, 0x1000, None)),
        "load a kernel program": lambda: _call("bpf", 0, ctypes.create_string_buffer(128), 128),
        "watch the machine": lambda: _call("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "use io_uring": lambda: _call("io_uring_setup", 8, ctypes.create_string_buffer(128)),
        "handle page faults": lambda: _call("userfaultfd", 1),
        "use the key ring": lambda: _call("keyctl", 0, -3, 1),
        "open by handle": lambda: _call("open_by_handle_at", -100, ctypes.create_string_buffer(128), 0),
        "run what it wrote": lambda: mmap.mmap(-1, 4096, prot=_PROT_ALL),
        "make memory executable": _executable,
        "take a lot of memory": lambda: mmap.mmap(-1, 4 << 30),
        "raise its limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
        "run a program": lambda: os.execv("/bin/true", ["true"]),
    }


class Probe:
    """Stands where the decoding of a file stands; tells what succeeded, as samples."""

    def __init__(self, tries: Mapping[str, Callable[[], object]]) -> None:
        self._tries = tries
        self.findings = Findings()

    def run(self, describe: object, give: Callable[[memoryview], None]) -> None:
        """Try everything."""
        for name, attempt in self._tries.items():
            try:
                told = repr(attempt())[:200]
            except (OSError, MemoryError, RuntimeError, ValueError):
                continue
            give(memoryview(json.dumps([name, told]).encode()))


def main() -> None:
    """Fork a worker as the service's own forker does, and print what it said as JSON.

    The argument is JSON: ``limits`` and ``targets`` are arguments of `Limits` and of `attempts`, ``without`` names
    functions of the sandbox that are to fail as on a system that lacks them.
    """
    given = json.loads(sys.argv[1])
    for name in given["without"]:
        setattr(sandbox, name, (lambda: False) if name == "leave_network" else _lacking)
    order = child.Order(limits=sandbox.Limits(**given["limits"]), max_seconds=60.0)
    sandbox.leave_files()
    left = sandbox.leave_network()
    reading, writing = os.pipe()
    source = os.open(given["targets"]["file"], os.O_RDONLY)
    with socket.socket() as another:  # a descriptor of the forker's that the worker must not keep
        probe = Probe(attempts(**given["targets"]))
        vars(child)["Extraction"] = lambda *_: probe
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException):
                try:
                    child.live(order, source, writing, left)
                except BaseException:
                    send(4, PCM, json.dumps(["the probe broke", traceback.format_exc()]).encode())
            os._exit(0)
        os.close(writing)
        another.fileno()
    _, status = os.waitpid(pid, 0)
    ready, done = None, False
    succeeded: dict[str, str] = {}
    for kind, payload in _messages(reading):
        if kind == READY:
            ready = json.loads(payload)
        elif kind == PCM:
            succeeded.update([json.loads(payload)])
        done = done or kind == END
        assert kind != MEDIA
    print(json.dumps({"ready": ready, "succeeded": succeeded, "done": done, "status": status}))


def _messages(pipe: int) -> list[tuple[bytes, bytes]]:
    with os.fdopen(pipe, "rb") as said:
        found = []
        while head := said.read(HEADER.size):
            kind, size = HEADER.unpack(head)
            found.append((kind, said.read(size)))
    return found


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _lacking(*_: object) -> None:
    raise OSError("this system does not have it")


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _call(name: str, *arguments: object) -> int:
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_libc.syscall(ctypes.c_long(_NUMBERS[name]), *given))


def _connect(port: int) -> object:
    with socket.socket() as there:
        there.connect(("127.0.0.1", port))
        return there.getpeername()


def _send(port: int) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        return there.sendto(b"x", ("127.0.0.1", port))


def _fork() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


def _signal_by_pipe(service: int) -> object:
    """The kernel sends a signal of choice when the pipe can be written to again, to whom the pipe is said to belong."""
    fcntl.fcntl(4, fcntl.F_SETOWN, service)
    if fcntl.fcntl(4, fcntl.F_GETOWN) != service:
        raise OSError("not set")
    return "owns the pipe's signals"


def _read_memory(service: int) -> object:
    """Any page that is there in this process is likely to be there in the service too."""
    taken = ctypes.create_string_buffer(16)
    mine = (ctypes.c_void_p * 2)(ctypes.addressof(taken), 16)
    return _call("process_vm_readv", service, mine, 1, mine, 1, 0)


def _executable() -> object:
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return _checked(_libc.mprotect(ctypes.c_void_p(address), 4096, _PROT_ALL))


def _descriptors() -> object:
    found = []
    for number in range(5, 4096):
        with suppress(OSError):
            fcntl.fcntl(number, fcntl.F_GETFD)
            found.append(number)
    if not found:
        raise OSError("it has none")
    return found


if __name__ == "__main__":
    main()
