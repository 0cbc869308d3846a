"""A batch of events into the projection, in one transaction; out come the ends of jobs that nobody was told of."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from common.bus.stage import Outputs, Recorded
from common.events import Event, JobControl, Terminal, TranscriptCompleted, UsageRecorded
from common.transcript import Utterance
from recorder.announcement import announcement
from recorder.fold import fold
from recorder.job import Job
from recorder.ports import Ledger, Projection
from recorder.spoken import Spoken


class Record:
    """The recorder's work on one batch.

    Parameters
    ----------
    projection
        Where the rows are.
    spoken
        Reads what was said from transcripts.
    erasing
        Called after a batch that left something to sweep.
    """

    def __init__(self, *, projection: Projection, spoken: Spoken, erasing: Callable[[], None]) -> None:
        self._projection = projection
        self._spoken = spoken
        self._erasing = erasing

    async def __call__(self, records: Sequence[Recorded]) -> Outputs:
        """Record a batch; the same batch again changes nothing and announces what was not announced yet."""
        events = [record.event for record in records]
        # Read before the rows are locked: a store that is slow then holds nobody up.
        said = await self._spoken.of([event for event in events if isinstance(event, TranscriptCompleted)])
        async with self._projection.transaction() as ledger:
            jobs, to_sweep = await _record(ledger, events, said)
            await ledger.advance(_positions(records))
        if to_sweep:
            self._erasing()
        return [announcement(job) for job in jobs if job.to_announce]


async def _record(
    ledger: Ledger, events: Sequence[Event], said: Mapping[UUID, Sequence[Utterance]]
) -> tuple[list[Job], bool]:
    facts = [event for event in events if not isinstance(event, UsageRecorded)]
    deletes = {event.job_id: event for event in facts if isinstance(event, JobControl) and event.action == "delete"}
    before, erased = await ledger.lock({event.job_id: event for event in reversed(facts)})
    gone = erased | deletes.keys()
    await ledger.erase(deletes)
    late = [event for event in facts if event.job_id in gone and not isinstance(event, JobControl)]
    await ledger.sweep_again(late)

    jobs = {job: known for job, known in before.items() if job not in gone}
    for event in facts:
        if event.job_id not in gone:
            jobs[event.job_id] = fold(jobs[event.job_id], event)
    await ledger.save([job for job in jobs.values() if job != before[job.id]])
    await ledger.add_utterances({job: said[job] for job in said if job in jobs and jobs[job].transcript_blob})
    # After the jobs: everybody who locks more than one table begins with them.
    await ledger.add_usage([event for event in events if isinstance(event, UsageRecorded)])
    return list(jobs.values()), bool(deletes or late)


def _positions(records: Sequence[Recorded]) -> dict[tuple[str, int], int]:
    """The next offset of each partition; the recorder's own events are read by a rebuild only."""
    positions: dict[tuple[str, int], int] = {}
    for record in records:
        if not isinstance(record.event, Terminal):
            place = (record.topic, record.partition)
            positions[place] = max(positions.get(place, 0), record.offset + 1)
    return positions
