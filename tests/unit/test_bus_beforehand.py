"""What is to be done before an event has its turn: who waits for it takes nothing from others."""

from uuid import UUID

from common.bus.producer import Outgoing
from common.envelope import body, headers
from common.options import Lane
from support.bus_model import ERRANDS_OF_ONE, TTL, Script, World, world
from support.buskit import segment, transcribed

SLOW: Script = [(3000.0, "done")]


def append(
    there: World,
    index: int,
    *,
    before: Script | None = None,
    script: Script = (),
    owner: str = "ann",
    lane: Lane = "interactive",
) -> UUID:
    """Put a segment on its topic that needs something before, or does not; its id."""
    event = segment(job=UUID(int=1), index=index, lane=lane).model_copy(update={"owner": owner})
    there.scripts[event.id], there.scripts[transcribed(event).id] = script, ()
    if before is not None:
        there.errands[event.id] = before
    there.kafka.append(*Outgoing(event.topic, event.key.encode(), body(event), headers(event, service="test")))
    return event.id


def test_what_waits_to_be_prepared_holds_no_lane() -> None:
    with world(1, 2) as there:
        there.start()
        slow = [append(there, index, before=SLOW, owner=f"owner-{index}") for index in range(40)]
        plain = [append(there, 100 + index, lane="bulk") for index in range(20)]
        there.loop.advance(5)
        assert all(there.runs[one] for one in plain)
        assert not any(there.runs[one] for one in slow)


def test_an_owner_who_waits_for_much_holds_up_neither_others_nor_the_own_other_lane() -> None:
    with world(1, 2) as there:
        there.start()
        for index in range(20):
            append(there, index, before=SLOW, lane="bulk")
        there.loop.advance(5)
        others = [append(there, 100, before=[(1.0, "done")], owner="bob"), append(there, 101, before=[(1.0, "done")])]
        there.loop.advance(5)
        assert [there.runs[one] for one in others] == [1, 1]


def test_waiting_for_a_turn_uses_up_no_delivery() -> None:
    with world(1, 1) as there:
        there.start()
        many = [append(there, index, before=[(600.0, "done")]) for index in range(5 * ERRANDS_OF_ONE)]
        there.loop.advance(6 * 600)
        assert [there.runs[one] for one in many] == [1] * len(many)
        assert not [record.topic for record in there.kafka.written if "retry" in record.topic]
        there.finish()


def test_what_fails_before_is_tried_again_or_given_up_like_the_handler() -> None:
    with world(1, 2) as there:
        there.start()
        later = append(there, 0, before=[(1.0, "busy"), (1.0, "done")])
        refused = append(there, 1, before=[(1.0, "refused")])
        there.finish()
        assert (there.runs[later], there.runs[refused]) == (1, 0)
        assert (there.letters(later), there.letters(refused)) == (0, 1)


def test_an_event_that_is_to_run_alone_does_not_wait_for_what_is_prepared_and_has_it_blamed_for_nothing() -> None:
    with world(1, 2) as there:
        there.start()
        innocent = append(there, 0, before=[(300.0, "done")] * 10)
        killer = append(there, 1, script=[(0.0, "kills")] * 20)
        there.loop.advance(TTL * 40)
        assert (there.letters(killer), there.letters(innocent)) == (1, 0)
        there.finish()
        assert (there.letters(innocent), there.runs[innocent]) == (0, 1)


def test_what_ends_its_process_whenever_it_is_prepared_is_put_aside_at_last() -> None:
    with world(1, 2) as there:
        there.start()
        killer = append(there, 0, before=[(0.0, "kills")] * 40)
        plain = append(there, 1)
        there.loop.advance(TTL * 60)
        assert (there.letters(killer), there.runs[killer]) == (1, 0)
        there.finish()
        assert there.runs[plain]


def test_a_stop_lets_nothing_be_lost_that_was_just_prepared() -> None:
    with world(1, 2) as there:
        there.start()
        there.loop.advance(1)
        event = append(there, 0, before=[(5.0, "done")])
        there.loop.advance(1)
        there.loop.do(there.leave("process-0"))
        assert event in there.brought
        there.finish()
        assert there.runs[event] == 1
