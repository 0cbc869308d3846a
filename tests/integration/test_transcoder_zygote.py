"""What the process that forks workers tells when a child cannot be made, and when one is killed for its computing."""

import signal
import subprocess
import sys

RUN = """
import os, resource, signal, socket, threading
from transcoder.worker import zygote
from transcoder.worker.child import Order
from transcoder.worker.sandbox import Limits

zygote.warm_up = lambda: None
line, theirs = socket.socketpair()
leashes = []
for _ in range({orders}):
    mine, leash = socket.socketpair()
    reading, writing = os.pipe()
    socket.send_fds(line, [zygote.FORK], [reading, writing, leash.fileno()])
    leash.close()
    leashes.append(mine)

def hear():
    for leash in leashes:
        said = leash.recv(zygote.STATUS.size)
        print(zygote.STATUS.unpack(said)[0] if said else "no child")
    line.close()

{setting}
threading.Thread(target=hear).start()
zygote.Zygote(theirs, Order(Limits(cpu_seconds=1, memory_mib=512, uid=65534), 10.0)).run()
"""

FAILS_ONCE = """
fork = os.fork
def failing():
    os.fork = fork
    raise BlockingIOError("no more processes")
os.fork = failing
zygote.live = lambda *_: None
"""

SPINS = """
def spin(*_):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
    while True:
        pass
zygote.live = spin
"""

KILLED = """
zygote.live = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def told(setting: str, orders: int = 1) -> list[str]:
    program = RUN.format(setting=setting, orders=orders)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split("\n")[:-1]


def test_a_child_that_cannot_be_made_costs_its_order_and_no_other() -> None:
    assert told(FAILS_ONCE, orders=2) == ["no child", "0"]


def test_a_child_deaf_to_the_limit_of_computing_time_is_told_of_as_beyond_it() -> None:
    assert told(SPINS) == [str(-signal.SIGXCPU)]


def test_a_child_killed_for_another_reason_is_told_of_as_killed() -> None:
    assert told(KILLED) == [str(-signal.SIGKILL)]
