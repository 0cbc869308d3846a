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
