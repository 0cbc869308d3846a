"""For tests of handlers: the bus without Kafka."""

from common.testing.memory import FakeContext, run_batch, run_stage

__all__ = ["FakeContext", "run_batch", "run_stage"]
