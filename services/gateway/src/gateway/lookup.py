"""Finding a job for its owner: the recorded row, or what this gateway accepted a moment ago."""

import re
from uuid import UUID

from aiohttp import web

from common.bus.control import ControlLog
from gateway.accepted import Accepted
from gateway.database import StoreUnavailable
from gateway.principal import owner_of
from gateway.problems import NOT_FOUND, Problem
from gateway.rows import JobRow
from gateway.store import Store

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def path_id(request: web.Request) -> UUID:
    """The id in the path; something that is no id is not found."""
    text = request.match_info["id"]
    # UUID() reads much more than ids as they are written: no dashes, braces, urn:uuid:, digits of other scripts.
    if not _ID.fullmatch(text):
        raise Problem(NOT_FOUND, "Nothing has this id.")
    return UUID(text)


class Jobs:
    """Jobs by id, for the owner a request comes from."""

    def __init__(self, *, store: Store, accepted: Accepted, control: ControlLog) -> None:
        self._store = store
        self._accepted = accepted
        self._control = control

    async def find(self, request: web.Request) -> JobRow:
        """The job a request names.

        Raises
        ------
        Problem
            404 when there is none, it is another owner's, or it was deleted: the same answer for all three.
        StoreUnavailable
            When Postgres is away and the job was not accepted here lately.
        """
        owner, job = owner_of(request), path_id(request)
        if self.deleted(job):
            raise _missing()
        try:
            row = await self._store.job(owner, job)
        except StoreUnavailable:
            row = self._remembered(owner, job)
            if row is None:
                raise
        row = row or self._remembered(owner, job)
        if row is None:
            raise _missing()
        return row

    def deleted(self, job: UUID) -> bool:
        """Whether its owner deleted the job."""
        return self._control.deleted(job)

    def _remembered(self, owner: str, job: UUID) -> JobRow | None:
        accepted = self._accepted.get(owner, job)
        return JobRow(job=accepted, transcript=None, translations={}) if accepted is not None else None


def _missing() -> Problem:
    return Problem(NOT_FOUND, "There is no job with this id.")
