"""Memory that is free again is used again."""

import subprocess
import sys

FAULTS = """
import resource, sys
from gateway.heap import keep_freed
if sys.argv[1] == "kept" and not keep_freed():
    raise SystemExit("not glibc")
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def blocks():
    for _ in range(100):
        held = [bytearray(256 * 1024) for _ in range(4)]
        del held
blocks()
before = faults()
blocks()
print(faults() - before)
"""


def faults(kind: str) -> int:
    """Page faults of taking and freeing blocks as an upload does, in a process of its own."""
    return int(subprocess.check_output([sys.executable, "-c", FAULTS, kind], text=True))


def test_blocks_of_an_upload_are_not_faulted_in_again() -> None:
    assert faults("kept") < 1_000 < faults("as it is")


LOOKS = """
import gc, sys
from gateway.heap import leave_alone
there = [[] for _ in range(200_000)]
if sys.argv[1] == "left":
    leave_alone()
looked = 0
def count(phase, info):
    global looked
    looked += phase == "start"
gc.callbacks.append(count)
new = [[] for _ in range(50_000)]
class Ring:
    pass
ring = Ring()
ring.itself = ring
gone = __import__("weakref").ref(ring)
del ring
gc.collect()
print(looked, gone() is None)
"""


def looks(kind: str) -> tuple[int, bool]:
    """How often the collector looks while 50,000 objects are made, and whether it finds a cycle; in a process apart."""
    looked, found = subprocess.check_output([sys.executable, "-c", LOOKS, kind], text=True).split()
    return int(looked), found == "True"


def test_the_collector_looks_seldom_and_still_finds_cycles() -> None:
    (seldom, found), (often, _) = looks("left"), looks("as it is")
    assert seldom < 10 < often
    assert found
