"""Dead letters: seen, shown, and put back as they were."""

import asyncio
from collections import Counter

import pytest

from common.bus import Context, EachStage
from common.bus.dead import main, replay
from common.bus.producer import Outgoing
from common.envelope import body, headers
from common.errors import Permanent
from common.events import Event, SegmentReady
from support.buskit import lag, publish, publish_raw, records, running, segment, transcribed
from support.waiting import eventually

TOPIC = "segment.ready.interactive"


async def test_letters_that_were_put_back_are_done_once_their_reason_is_gone(bus_kafka: str) -> None:
    mended, ran = False, Counter[int]()

    async def handler(event: SegmentReady, context: Context) -> list[Event]:
        ran[event.index] += 1
        assert context.delivery == 1, "what was put back begins anew"
        if not mended and event.index < 3:
            raise Permanent("engine_bug", "The engine refused this.")
        return [transcribed(event)]

    async def dead(number: int) -> None:
        async def buried() -> bool:
            return len(await records(bus_kafka, f"{TOPIC}.dead")) == number and await lag(bus_kafka, TOPIC) == 0

        await eventually(buried)

    events = [segment(index=number) for number in range(10)]
    junk = Outgoing(TOPIC, b"k", b"{not json", headers(events[0], service="test"))
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await publish(bus_kafka, events)
        await publish_raw(bus_kafka, [junk])
        await dead(4)
        mended = True
        back = await replay(bus_kafka, TOPIC, wanted=lambda letter: letter.says("x-error-code") == "engine_bug")
        assert len(back) == 3
        await dead(4)
        assert ran == Counter({index: 1 + (index < 3) for index in range(10)})
        assert len(await replay(bus_kafka, TOPIC)) == 4, "by hand picked ones do not count as dealt with"
        await dead(5)
        (again,) = await replay(bus_kafka, TOPIC)
        assert again.record.value == junk.value, "only the letter that died again is new"
    copies = [record for record in await records(bus_kafka, TOPIC) if record.value == body(events[0])]
    assert len(copies) == 3
    own = headers(events[0], service="test")
    assert all([one for one in record.headers if one[0] not in {"traceparent", "x-replay"}] == own for record in copies)
    lives = Counter(dict(record.headers).get("x-replay", b"") for record in copies)
    assert len(lives) == 3, "each time it is put back it begins a new life"
    assert lives[b""] == 1
    assert all(life.startswith(f"{TOPIC}.dead/".encode()) for life in lives if life)


async def test_the_command_line_lists_shows_and_puts_back(
    bus_kafka: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handler(_: SegmentReady, __: Context) -> list[Event]:
        raise Permanent("no_audio", "The file holds no audio.")

    monkeypatch.setenv("SCRIBEWIRE_KAFKA", bus_kafka)
    event = segment(index=7)

    async def say(*arguments: str) -> str:
        assert await asyncio.to_thread(main, arguments) == 0
        return capsys.readouterr().out

    assert "no dead letters" in await say("list", TOPIC)
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await publish(bus_kafka, [event])

        async def buried() -> bool:
            return bool(await records(bus_kafka, f"{TOPIC}.dead"))

        await eventually(buried)
    (letter,) = await records(bus_kafka, f"{TOPIC}.dead")
    place = f"{letter.partition}/{letter.offset}"
    assert f"{TOPIC}.dead/{place}" in (listed := await say("list", TOPIC))
    assert "transcriber no_audio: The file holds no audio." in listed
    assert body(event).decode() in await say("show", TOPIC, place)
    assert "1 put back" in await say("replay", TOPIC, place)
    assert "no_audio" in await say("list", TOPIC), "picked by hand: it stays new"
    assert "1 put back" in await say("replay", TOPIC)
    assert "no dead letters" in await say("list", TOPIC)
    assert "no_audio" in await say("list", TOPIC, "--all")
    assert [record.value for record in await records(bus_kafka, TOPIC)] == [body(event)] * 3
