"""The whole bus in virtual time: whatever happens in whatever order, it keeps what it promises.

Real `Bus`, `Subscription`, `Window`, `Worker`, `Retries` and `Producer`; Kafka is a toy at the client's boundary.
"""

from uuid import UUID

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.bus.producer import Outgoing
from common.envelope import body, headers
from support.bus_model import TTL, world
from support.buskit import segment, transcribed
from support.promises import FULL, SEED

SECONDS = st.sampled_from([0.0, 0.0, 0.005, 0.2, 4.0, 12.0, 30.0])
OUTCOMES = st.sampled_from(["done", "done", "done", "busy", "later", "refused"])
SCRIPTS = st.lists(st.tuples(SECONDS, OUTCOMES), max_size=4)
JOBS = st.sampled_from([UUID(int=number) for number in range(1, 5)])


class BusMachine(RuleBasedStateMachine):
    """Events come, run, fail and are cancelled while processes join, leave, die, are thrown out, and Kafka stumbles."""

    @initialize(seed=st.integers(0, 2**16), slots=st.sampled_from([1, 2, 8]))
    def begin(self, seed: int, slots: int) -> None:
        self.within = world(seed, slots)
        self.world = self.within.__enter__()
        self.index = 0
        self.world.start()
        self.world.loop.advance(1)

    @rule(jobs=st.lists(JOBS, min_size=1, max_size=6), bulk=st.booleans(), data=st.data())
    def publish(self, jobs: list[UUID], bulk: bool, data: st.DataObject) -> None:
        errands = FULL and data.draw(st.booleans())  # doubles the time
        for job in jobs:
            event = segment(job=job, index=self.index, lane="bulk" if bulk else "interactive")
            self.index += 1
            for one in (event, transcribed(event)):
                self.world.scripts[one.id] = data.draw(SCRIPTS)
            if errands:
                self.world.errands[event.id] = data.draw(SCRIPTS)
            out = Outgoing(event.topic, event.key.encode(), body(event), headers(event, service="test"))
            copies = data.draw(st.sampled_from([1, 1, 1, 1, 1, 2]))
            self.world.calm = self.world.calm and copies == 1
            for _ in range(copies):
                self.world.kafka.append(*out)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.05, 0.3, 2.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    @rule(turns=st.integers(1, 12))
    def turn(self, turns: int) -> None:
        for _ in range(turns):
            self.world.loop.advance(0)

    @precondition(lambda self: len(self.world.buses) < 3)
    @rule()
    def join(self) -> None:
        self.world.start()

    @precondition(lambda self: self.world.buses)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.buses)))
        self.world.loop.do(self.world.leave(name))

    @precondition(lambda self: self.world.buses)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.world.crash(data.draw(st.sampled_from(sorted(self.world.buses))))

    @precondition(lambda self: self.world.buses)
    @rule(data=st.data())
    def evict(self, data: st.DataObject) -> None:
        self.world.evict(data.draw(st.sampled_from(sorted(self.world.buses))))
        self.world.calm = False

    @rule(troubles=st.lists(st.sampled_from(["refused", "unheard", "slow"]), max_size=4))
    def commits_stumble(self, troubles: list[str]) -> None:
        self.world.kafka.commit_troubles = troubles

    @rule(troubles=st.lists(st.sampled_from(["refused", "unheard", "slow"]), max_size=4))
    def sends_stumble(self, troubles: list[str]) -> None:
        self.world.kafka.send_troubles = troubles
        self.world.calm = False

    @rule(job=JOBS)
    def cancel(self, job: UUID) -> None:
        self.world.cancelled.add(job)

    @rule(seconds=st.sampled_from([0.5, TTL * 2]))
    def store_is_away(self, seconds: float) -> None:
        self.world.leases.down = True
        self.world.faults += 1
        self.world.loop.advance(seconds)
        self.world.leases.down = False

    @rule(seconds=st.sampled_from([0.01, 0.5, 15.0]))
    def store_slows_down(self, seconds: float) -> None:
        # Slower than a lease lives is as good as silent, so whoever holds one may lose it.
        self.world.faults += seconds > 1
        self.world.store_seconds = seconds

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.finish()
            finally:
                self.within.__exit__(None, None, None)


# The same examples in every run; SCRIBEWIRE_FAULTS_SEED brings others.
seed(SEED)(BusMachine)
BusMachine.TestCase.settings = settings(
    max_examples=2000 if FULL else 200,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestBus = BusMachine.TestCase
