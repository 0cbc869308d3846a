"""Orders of events that once lost work or repeated harm, each as it was found."""

from uuid import UUID

from common.bus.producer import Outgoing
from common.envelope import body, headers
from support.bus_model import DRAIN, TTL, World, world
from support.buskit import segment, transcribed


def publish(there: World, script: list[tuple[float, str]]) -> UUID:
    """Have a process work on one segment; its id."""
    there.start()
    there.loop.advance(1)
    return append(there, script)


def append(there: World, script: list[tuple[float, str]], index: int = 0, *marks: tuple[str, bytes]) -> UUID:
    """Put a segment on its topic; its id."""
    event = segment(job=UUID(int=1), index=index)
    there.scripts[event.id], there.scripts[transcribed(event).id] = script, []
    marked = [*headers(event, service="test"), *marks]
    there.kafka.append(*Outgoing(event.topic, event.key.encode(), body(event), marked))
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


def test_several_events_that_kill_their_process_kill_four_each_at_most_though_nothing_is_committed() -> None:
    with world(1, 2) as there:
        there.kafka.commit_troubles = ["refused"] * 10_000
        there.start()
        there.loop.advance(1)
        killers = [append(there, [(0.0, "kills")] * 20, index) for index in range(3)]
        innocent = append(there, [], 3)
        there.loop.advance(600)
        assert not any(there.kafka.committed.values())
        ended = [there.runs[killer] for killer in killers]
        assert all(2 <= runs <= 4 for runs in ended), "two alone, and at most two beside others"
        assert [there.letters(killer) for killer in killers] == [1, 1, 1]
        assert there.runs[innocent] >= 1
        assert not there.letters(innocent)
        for process in list(there.buses):
            there.crash(process)
        there.start()
        there.loop.advance(TTL * 3)
        assert [there.runs[killer] for killer in killers] == ended, "what was put aside stays aside"
        assert [there.letters(killer) for killer in killers] == [1, 1, 1]


def test_a_letter_that_is_put_back_may_end_four_again() -> None:
    with world(1, 2) as there:
        killer = publish(there, [(0.0, "kills")] * 20)
        there.loop.advance(120)
        assert (there.runs[killer], there.letters(killer)) == (4, 1)
        append(there, [(0.0, "kills")] * 20, 0, ("x-replay", b"one"))
        there.loop.advance(120)
        assert (there.runs[killer], there.letters(killer)) == (8, 2)
        there.scripts[killer] = []
        append(there, [], 0, ("x-replay", b"two"))
        there.loop.advance(120)
        assert (there.runs[killer], there.letters(killer)) == (9, 2)


def test_a_letter_that_is_put_back_keeps_its_life_through_a_retry() -> None:
    with world(1, 2) as there:
        there.start()
        there.loop.advance(1)
        killer = append(there, [(0.0, "busy"), (0.0, "busy")], 0, ("x-replay", b"one"))
        there.loop.advance(120)
        assert there.runs[killer] == 3
        copies = [record for record in there.kafka.written if record.topic == "segment.ready.interactive"]
        assert [dict(record.headers)["x-replay"] for record in copies] == [b"one"] * 3


def test_a_letter_that_is_put_back_beside_a_copy_of_what_it_was_has_its_turn() -> None:
    with world(1, 2) as there:
        event = publish(there, [(1.0, "refused"), (0.0, "done")])
        there.loop.advance(0.5)
        append(there, there.scripts[event], 0, ("x-replay", b"one"))
        there.loop.advance(0.2)
        assert there.runs[event] == 1, "it waits for the copy that runs"
        there.finish()
        assert there.runs[event] == 2


def test_a_letter_that_is_put_back_is_not_lost_where_the_store_is_away_for_a_copy_of_what_it_was() -> None:
    with world(1, 2) as there:
        there.kafka.commit_troubles = ["refused"] * 10_000
        killer = publish(there, [(0.0, "kills")] * 20)
        there.loop.advance(120)
        assert (there.runs[killer], there.letters(killer)) == (4, 1)
        for process in list(there.buses):
            there.crash(process)
        there.leases.down = True
        append(there, [], 0, ("x-replay", b"one"))
        there.start()
        while not any("retry" in record.topic for record in there.kafka.written):
            there.loop.advance(0.1)
        there.leases.down = False
        there.finish()
        assert (there.runs[killer], there.letters(killer)) == (5, 1)


def test_what_is_known_of_an_event_that_kills_its_process_outlives_stops_while_it_waits_to_be_alone() -> None:
    with world(1, 2) as there:
        there.start()
        there.loop.advance(1)
        killer = append(there, [(0.0, "kills")] * 40)
        append(there, [(60.0, "done")] * 40, 1)
        for _ in range(8):
            there.loop.advance(TTL * 5)
            for process in list(there.buses):
                there.loop.do(there.leave(process))
            there.start()
        there.finish()
        assert there.runs[killer] == 4
        assert there.letters(killer) == 1


def test_a_lost_answer_of_the_store_counts_no_run_that_never_was() -> None:
    with world(1, 2) as there:
        there.start()
        there.loop.advance(1)
        event = append(there, [(0.0, "kills")] * 2 + [(0.0, "done")])
        there.loop.advance(TTL)
        there.unheard_marks = 2
        there.finish()
        assert not there.unheard_marks, "the lease was marked as alone while answers were lost"
        assert (there.runs[event], there.letters(event)) == (3, 0)
