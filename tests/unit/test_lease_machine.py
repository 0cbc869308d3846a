"""Leases against a model of what they promise, whatever is done to them and whoever comes late."""

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from common.leases import Lease, Leases
from common.leases.folder import FolderLeases
from common.testing.leases import MemoryLeases

TTL = 10.25
"""No sum of steps comes near it: a folder's clock is the real one, which goes on by itself as well."""
NAMES = st.sampled_from(["a", "b"])
STEPS = st.sampled_from([0.5, 4.0, 9.0, 11.0, 40.0])


class Held:
    """What the model knows of one lease that is there: who has it, since when it was not beaten, how it got there."""

    def __init__(self, lease: Lease, now: float) -> None:
        self.lease = lease
        self.beat = now
        self.alone = lease.alone
        self.buried = lease.buried
        self.free = False
        """Whether it was given up; then only what was put aside is known of it."""


class LeaseMachine(RuleBasedStateMachine):
    """Any number of holders, alive and late, on two leases; time moves only when a rule says so."""

    def make(self) -> Leases:
        """The leases under test, by this machine's clock."""
        self.now = 0.0
        return MemoryLeases(TTL, clock=lambda: self.now)

    def pass_time(self, seconds: float) -> None:
        """Let the store's clock go on."""
        self.now += seconds

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.leases = self.make()
        self.time = 0.0
        self.model: dict[str, Held] = {}
        self.ever: list[Lease] = []

    @rule(seconds=STEPS)
    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.pass_time(seconds)

    @rule(name=NAMES)
    def acquire(self, name: str) -> None:
        got = self.loop.run_until_complete(self.leases.acquire(name))
        held = self.model.get(name)
        if held is not None and not held.free and self.time - held.beat <= TTL:
            assert got is None, "two holders at once"
            return
        assert got is not None, "nobody holds it"
        expected: tuple[int, int, str | None] = (0, 0, None)
        if held is not None:
            expected = (0, 0, held.buried) if held.free else (held.lease.takeovers + 1, held.alone, held.buried)
        assert (got.name, got.takeovers, got.alone, got.buried) == (name, *expected)
        assert got.token not in {lease.token for lease in self.ever}
        self.model[name] = Held(got, self.time)
        self.ever.append(got)

    @precondition(lambda self: self.ever)
    @rule(data=st.data(), alone=st.booleans())
    def beat(self, data: st.DataObject, alone: bool) -> None:
        lease = data.draw(st.sampled_from(self.ever))
        held = self.held_with(lease)
        mine = held is not None
        assert self.loop.run_until_complete(self.leases.renew(lease, alone=alone)) is mine
        if held is not None:
            held.beat, held.alone = self.time, lease.alone + 1 if alone else held.alone

    @precondition(lambda self: self.ever)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.ever))
        self.loop.run_until_complete(self.leases.release(lease))
        if self.held_with(lease) is not None:
            del self.model[lease.name]

    @precondition(lambda self: self.ever)
    @rule(data=st.data(), life=st.sampled_from(["0", "0123456789abcdef"]))
    def bury(self, data: st.DataObject, life: str) -> None:
        lease = data.draw(st.sampled_from(self.ever))
        self.loop.run_until_complete(self.leases.bury(lease, life))
        held = self.held_with(lease)
        if held is not None:
            held.free, held.buried = True, life

    def held_with(self, lease: Lease) -> Held | None:
        """What is there of a lease if it is still held with the same token."""
        held = self.model.get(lease.name)
        return held if held is not None and not held.free and held.lease.token == lease.token else None

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()


class FolderMachine(LeaseMachine):
    """The same on files, whose clock is moved by making everything in the folder older."""

    def make(self) -> Leases:
        self.folder = tempfile.TemporaryDirectory()
        return FolderLeases(Path(self.folder.name) / "leases", ttl=TTL)

    def pass_time(self, seconds: float) -> None:
        for path in (Path(self.folder.name) / "leases").glob("*.lease"):
            was = path.stat()
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns - int(seconds * 1e9)))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


_SETTINGS = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
LeaseMachine.TestCase.settings = FolderMachine.TestCase.settings = _SETTINGS
TestMemoryLeases = LeaseMachine.TestCase
TestFolderLeases = FolderMachine.TestCase
