"""Orders of events that once lost work, each as the state machine found it."""

from uuid import UUID

from common.bus.producer import Outgoing
from common.envelope import body, headers
from support.bus_model import DRAIN, World, world
from support.buskit import segment, transcribed


def publish(there: World, script: list[tuple[float, str]]) -> UUID:
    """Have a process work on one segment; its id."""
    event = segment(job=UUID(int=1))
    there.scripts[event.id], there.scripts[transcribed(event).id] = script, []
    there.start()
    there.loop.advance(1)
    there.kafka.append(*Outgoing(event.topic, event.key.encode(), body(event), headers(event, service="test")))
    return event.id


def test_a_retry_that_is_back_before_the_broker_answered_that_it_has_it_is_not_lost() -> None:
    with world(1, 2) as there:
        event = publish(there, [(1.0, "busy")])
        there.loop.advance(0.5)
        there.kafka.send_troubles = ["slow"]
        there.loop.advance(1)
        assert not there.kafka.send_troubles, "the retry record met the slow broker"
        there.finish()
        assert there.runs[event] == 2


def test_a_stop_that_runs_out_of_time_while_a_lease_is_given_back_still_commits() -> None:
    with world(1, 2) as there:
        event = publish(there, [(2.0, "done")])
        there.loop.advance(1)
        there.store_seconds = DRAIN * 2
        there.loop.advance(1.1)
        there.loop.do(there.leave("process-0"))
        there.finish()
        assert there.runs[event] == 1
