"""How a log is cut into batches, and which batches come again, leaves no trace in the rows."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.events import Event, Terminal
from common.testing.memory import MemoryRecord
from recorder.handler import Record
from recorder.job import Job
from support.stories import Story


class Rows:
    """The projection's jobs in memory, with its transactions; of the rest nothing is kept."""

    def __init__(self) -> None:
        self.jobs: dict[UUID, Job] = {}
        self.offset = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        yield self

    async def lock(self, first: Mapping[UUID, Event]) -> tuple[dict[UUID, Job], set[UUID]]:
        made = {job: Job(id=job, owner=event.owner, lane=event.lane) for job, event in first.items()}
        return {job: self.jobs.get(job, new) for job, new in made.items()}, set()

    async def save(self, jobs: Sequence[Job]) -> None:
        self.jobs |= {job.id: job for job in jobs}

    async def advance(self, offsets: Mapping[tuple[str, int], int]) -> None:
        self.offset = max([self.offset, *offsets.values()])

    async def nothing(self, *_: object) -> None:
        pass

    add_utterances = add_usage = erase = sweep_again = nothing


class Unheard:
    """Nobody reads what was said."""

    async def of(self, _: Sequence[Event]) -> dict[UUID, Any]:
        return {}


async def recorded(log: Sequence[Event], batches: Sequence[tuple[int, int]]) -> tuple[Rows, list[Terminal]]:
    """Hand over the log's records from one offset to another, batch by batch; the rows and what was announced."""
    rows = Rows()
    handler = Record(projection=rows, spoken=Unheard(), erasing=lambda: None)  # type: ignore[arg-type]
    said: list[Terminal] = []
    records = [MemoryRecord(event, "log", 0, offset) for offset, event in enumerate(log)]
    for begin, end in batches:
        said += await handler(records[begin:end])  # type: ignore[arg-type]
    return rows, said


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Some jobs' events, mixed; facts that contradict each other too: what is first on the log counts."""
    mixed: list[list[Event]] = []
    for number in range(draw(st.integers(1, 3))):
        story = Story(job=UUID(int=number + 1), translate=draw(st.sampled_from([(), ("es",), ("es", "fr")])))
        some = [
            story.upload(),
            story.progress("transcoder", 0.5),
            story.progress("transcriber", 0.5),
            story.transcript(),
            *(story.translation(language) for language in story.translate),
            story.failed("translator", "es"),
            story.failed("transcoder"),
            story.control("cancel"),
        ]
        mixed.append(draw(st.lists(st.sampled_from(some), min_size=1, max_size=14)))
    every = [event for events in mixed for event in events]
    return draw(st.permutations(every))


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """Batches over a log from its start to its end, in which some begin before the last one's end, as after a crash."""
    batches, at = [], 0
    while at < length:
        begin = draw(st.integers(max(0, at - 4), at))
        end = draw(st.integers(begin + 1, length))
        batches.append((begin, end))
        at = max(at, end)
    return batches


# A log is many events, and so is what it is drawn from: that is what is tried here, not an accident.
@settings(deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.data())
def test_how_the_log_is_cut_and_what_comes_again_leaves_no_trace(data: st.DataObject) -> None:
    log = data.draw(logs())
    at_once, expected = asyncio.run(recorded(log, [(0, len(log))]))
    rows, said = asyncio.run(recorded(log, data.draw(cuts(len(log)))))
    assert (rows.jobs, rows.offset) == (at_once.jobs, len(log))
    told = {event.job_id: event for event in expected}
    for event in said:
        assert event.id == told[event.job_id].id, "an ending was announced that another batch does not know"
    assert {event.job_id for event in said} == told.keys()
