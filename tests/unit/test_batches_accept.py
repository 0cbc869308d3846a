"""How an item that names a held upload becomes an event, and what makes it wait."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.engines import ENGINES
from common.events import BlobRef, UploadReceived
from common.options import JobOptions
from gateway.acceptance import Acceptance
from gateway.batches.accept import Acceptor, OverBudget, PutOff
from gateway.batches.work import Work
from gateway.problems import BUDGET_USED_UP, TOO_MANY_JOBS, UNSUPPORTED, Problem
from gateway.settings import GatewaySettings
from gateway.uploads.models import Taken
from gateway.uploads.problems import UPLOAD_BUSY
from gateway.walls.gate import Gate
from support.stories import Story


class Neighbours:
    """Uploads, addresses and acceptance in one: hands out what it was given, and keeps the events."""

    def __init__(self, taken: Taken | Problem) -> None:
        self.taken = taken
        self.events: list[UploadReceived] = []

    async def take(self, owner: str, upload_id: UUID, *, by: str) -> Taken:
        if isinstance(self.taken, Problem):
            raise self.taken
        return self.taken

    async def receive_blob(
        self, owner: str, job: UUID, name: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        return Story().upload().model_copy(update={"job_id": job, "filename": "0f3a", "content_type": None})

    async def accept(self, event: UploadReceived) -> None:
        self.events.append(event)

    def costs(self, options: JobOptions) -> bool:
        if options.language == "tlh":
            raise Problem(UNSUPPORTED, "nobody")
        return options.provider == "deepgram"


def acceptor(neighbours: Neighbours) -> Acceptor:
    parts: Any = neighbours
    return Acceptor(acceptance=parts, addresses=parts, uploads=parts, crypt=parts)


def item() -> Work:
    return Work(batch=uuid4(), line=1, owner="ann", job=uuid4(), kind="upload", source=str(uuid4()), options={})


async def test_an_upload_that_is_tried_again_keeps_its_name_and_type() -> None:
    taken = SimpleNamespace(
        job_id=uuid4(),
        source=BlobRef(name="users/ann/originals/x/y", size=3),
        sha256="0" * 64,
        filename="talk.mp3",
        content_type="audio/mpeg",
        options=JobOptions(),
    )
    neighbours = Neighbours(taken)  # type: ignore[arg-type]
    assert await acceptor(neighbours).accept(item()) is None
    [event] = neighbours.events
    assert (event.filename, event.content_type) == ("talk.mp3", "audio/mpeg")


async def test_an_upload_that_is_just_being_ended_is_waited_for() -> None:
    with pytest.raises(PutOff):
        await acceptor(Neighbours(Problem(UPLOAD_BUSY, "another"))).accept(item())


async def test_a_spent_budget_is_told_apart_from_limits_that_hold_for_every_job() -> None:
    with pytest.raises(OverBudget):
        await acceptor(Neighbours(Problem(BUDGET_USED_UP, "spent"))).accept(item())
    with pytest.raises(PutOff) as caught:
        await acceptor(Neighbours(Problem(TOO_MANY_JOBS, "64"))).accept(item())
    assert not isinstance(caught.value, OverBudget)


@pytest.mark.parametrize(
    ("options", "costs"),
    [
        ({"provider": "deepgram"}, True),
        ({"provider": "pocketsphinx"}, False),
        ({"provider": "pocketsphinx", "translate": ("es",), "translator": "openai"}, True),
        ({"provider": "pocketsphinx", "translate": ("es",), "translator": "apertium"}, False),
    ],
)
def test_a_job_costs_something_by_its_engine_or_its_translator(options: dict[str, Any], costs: bool) -> None:
    nobody: Any = None
    acceptance = Acceptance(
        producer=nobody,
        control=nobody,
        store=nobody,
        accepted=nobody,
        deferred=nobody,
        engines=ENGINES,
        settings=GatewaySettings(operator_key_file=Path("key"), encryption_keys_file=Path("keys")),
        gate=Gate(nobody, engines=ENGINES),
    )
    assert acceptance.costs(JobOptions(**options)) is costs


@pytest.mark.parametrize(
    ("options", "free"),
    [
        ({"provider": "deepgram"}, False),
        ({"provider": "pocketsphinx"}, True),
        # These are to be refused when their turn comes, not to wait for money.
        ({"language": "tlh"}, True),
        ({"translate": 7}, True),
    ],
)
def test_what_costs_nothing_is_known_by_its_options(options: dict[str, Any], free: bool) -> None:
    assert acceptor(Neighbours(Problem(BUDGET_USED_UP, "spent"))).free(options) is free
