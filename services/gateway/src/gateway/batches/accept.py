"""An item made a job: what it names becomes an event, and that goes the way of every upload."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from common.crypt import Undecipherable
from common.events import UploadReceived
from common.options import JobOptions
from gateway.acceptance import Acceptance
from gateway.batches.ports import Addresses, Crypt, Uploads
from gateway.batches.work import Refusal, Work
from gateway.filenames import sanitise
from gateway.problems import BUDGET_USED_UP, Problem

_LATER = frozenset({402, 408, 423, 429, 500, 503})
"""Statuses of problems that time heals: a limit that is used up, a part that is away, another who is just at it."""


class PutOff(Exception):  # noqa: N818 - named for what happened
    """The owner may not have another job just now."""


class OverBudget(PutOff):
    """The owner may have no job just now that costs something."""


class Acceptor:
    """Makes jobs of items."""

    def __init__(self, *, acceptance: Acceptance, addresses: Addresses, uploads: Uploads, crypt: Crypt) -> None:
        self._acceptance = acceptance
        self._addresses = addresses
        self._uploads = uploads
        self._crypt = crypt

    async def accept(self, work: Work) -> Refusal | None:
        """Put the item's job into the log; why that cannot be, or None when it is there.

        Doing it twice is harmless, for the job's id is derived.

        Raises
        ------
        PutOff
            When it may be tried again later; `OverBudget` when that is a matter of money.
        BusUnavailable, BlobsUnavailable
            When a part is away; the event may be in the log all the same.
        """
        try:
            await self._acceptance.accept(await self._event(work))
        except Problem as problem:
            if problem.kind.status in _LATER:
                raise (OverBudget if problem.kind is BUDGET_USED_UP else PutOff) from problem
            first: Mapping[str, str] = next(iter(problem.document.get("errors", ())), {})
            field, message = first.get("field", work.kind), first.get("message", problem.document["detail"])
            return Refusal(work, field, problem.kind.slug.replace("-", "_"), message)
        except Undecipherable:
            return Refusal(work, work.kind, "undecipherable", "The address can be read no more; send it again.")
        return None

    def free(self, options: Mapping[str, Any]) -> bool:
        """Whether an item with these options costs nothing, as far as can be told before it is a job."""
        try:
            return not self._acceptance.costs(JobOptions.model_validate(options))
        except (Problem, ValidationError):
            return True  # It is refused, in better words, when it is to become a job.

    async def took(self, batch: UUID, line: int, owner: str, upload: UUID) -> bool:
        """Whether an upload was taken for this line of a batch; raises `BlobsUnavailable`."""
        return await self._uploads.taken_by(owner, upload) == _by(batch, line)

    async def _event(self, work: Work) -> UploadReceived:
        options = JobOptions.model_validate(work.options)
        if work.kind == "url":
            address = self._crypt.decrypt(work.source)
            return await self._addresses.receive(work.owner, work.job, address, options, idempotent=False)
        if work.kind == "blob":
            return await self._addresses.receive_blob(work.owner, work.job, work.source, options, idempotent=False)
        by = _by(work.batch, work.line)
        taken = await self._uploads.take(work.owner, UUID(work.source), by=by, options=work.options)
        sent = taken.options.model_dump(mode="json", exclude_unset=True)
        options = JobOptions.model_validate({**sent, **work.options})
        if taken.event is not None and work.job == taken.job_id:
            return taken.event  # The job is there: this does nothing to it, and makes it the item's.
        if (
            work.job != taken.job_id
        ):  # Tried again: the bytes are in the first job's folder, and go when that is erased.
            name = taken.source.name
            again = await self._addresses.receive_blob(work.owner, work.job, name, options, idempotent=False)
            named = {"filename": sanitise(taken.filename), "content_type": taken.content_type}
            return again.model_copy(update={key: value for key, value in named.items() if value is not None})
        plan = self._acceptance.plan(options)
        return UploadReceived(
            job_id=work.job,
            owner=work.owner,
            lane=options.lane,
            source=taken.source,
            filename=sanitise(taken.filename),
            content_type=taken.content_type,
            sha256=taken.sha256,
            options=options,
            plan=plan,
            same_as=await self._acceptance.same(work.owner, taken.sha256, options, plan),
        )


def _by(batch: UUID, line: int) -> str:
    return f"{batch}/{line}"
