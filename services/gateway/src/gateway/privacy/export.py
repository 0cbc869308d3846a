"""GET /v1/account/export: everything about an owner as a ZIP that a person can read, made while it is sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import BlobNotFound, Blobs, read_all
from common.crypt import Crypt, Undecipherable
from common.formats import render
from common.transcript import Transcript, Translation
from gateway.answers import csv_lines
from gateway.filenames import sanitise
from gateway.models import Job
from gateway.privacy.archive import Archive
from gateway.privacy.store import ENCRYPTED, STREAMED, PrivacyStore
from gateway.privacy.unfinished import Unfinished, unfinished
from gateway.rows import JobRow
from gateway.store import Store
from gateway.uploads.models import Upload

log = structlog.get_logger(__name__)

_PAGE = 100

README = """\
Everything Scribewire has about you, as of {at:%Y-%m-%d %H:%M} UTC.

account.json        who you are, as you told us
consents.json       what you agreed to, and when
sessions.json       where and when you logged in
password_resets.json  when a new password was asked for, and from where; the links are not stored
other_logins.json   accounts elsewhere that you log in with
keys.json           your API keys; the keys themselves are not stored, only fingerprints that are of no use to anyone
webhooks.json       addresses your results are sent to; their secrets are left out
webhook_deliveries.csv  what was sent to them, and how that went
mails.json          letters we sent you
limits.json         what is other for you than in your plan
batches.json        your batches; batch_items.csv has their items, one a line
activity.csv        what you did, as our audit log has it, and what was done with your account by us or by somebody
                    who was not logged in, such as with a wrong password
usage.csv           what was done for you, and what it cost
jobs.csv            your jobs, one a line
jobs/               a folder for each job: the recording, its audio in the format you asked for, its transcript and
                    translations as text and, with all details, as JSON, and job.json with how it went
uploads.json        uploads that are no job yet
uploads/            those of them that are complete; what is there of half a file cannot be read by anybody{left_out}

Times are in UTC. Text is UTF-8.
"""

OVERVIEW = ("id", "created_at", "filename", "status", "language", "duration", "words", "provider", "finished_at")

LEFT_OUT = "\n\nRecordings were left out, as you asked."


class Export:
    """Writes an owner's export."""

    def __init__(self, *, store: Store, privacy: PrivacyStore, blobs: Blobs, crypt: Crypt) -> None:
        self._store = store
        self._privacy = privacy
        self._blobs = blobs
        self._crypt = crypt

    async def content(self, owner: str, *, at: datetime, recordings: bool) -> AsyncGenerator[bytes, None]:
        """The file's bytes.

        Parameters
        ----------
        owner
            Whose.
        at
            Now.
        recordings
            Whether to put the recordings in.
        """
        with Archive() as archive:
            archive.text("README.txt", README.format(at=at, left_out="" if recordings else LEFT_OUT), modified=at)
            for name, found in (await self._privacy.exported(owner)).items():
                shown: Any = [self._plain(row) for row in found]
                if name == "account":
                    shown = shown[0] if shown else {"owner": owner}
                archive.text(f"{name}.json", _json(shown), modified=at)
            uploads = [upload async for upload in unfinished(self._blobs, owner)]
            archive.text("uploads.json", _json([upload.shown() for upload in uploads]), modified=at)
            tables = {name: self._table(owner, name) for name in STREAMED} | {"jobs": self._overview(owner)}
            for name, rows in tables.items():
                async with aclosing(archive.member(f"{name}.csv", rows, modified=at, compress=True)) as table:
                    async for chunk in table:
                        yield chunk
            async for page in self._jobs(owner):
                for job in page:
                    # Read again one by one: a job of the page may be gone by its turn.
                    if row := await self._store.job(owner, job.id):
                        async with aclosing(self._job(archive, owner, row, recordings=recordings)) as folder:
                            async for chunk in folder:
                                yield chunk
            for upload in uploads if recordings else ():
                async with aclosing(self._upload(archive, upload)) as file:
                    async for chunk in file:
                        yield chunk
            yield archive.end()

    def _plain(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self._decrypted(key, value) if key in ENCRYPTED and value is not None else value
            for key, value in row.items()
        }

    def _decrypted(self, name: str, token: str) -> str | None:
        try:
            return self._crypt.decrypt(token)
        except Undecipherable:
            # Somebody took a key away too early: one value that is lost keeps nobody from all the others.
            log.error("export_value_undecipherable", name=name)  # noqa: TRY400 - where it was is always here
            return None

    async def _table(self, owner: str, name: str) -> AsyncIterator[bytes]:
        header: Sequence[str] = ()
        async for rows in self._privacy.streamed(owner, name):
            if not header:
                header = [column for column in rows[0] if column != "id"]
                yield csv_lines([header])
            shown = [self._plain(row) for row in rows]
            yield csv_lines([_cell(row[column]) for column in header] for row in shown)

    async def _overview(self, owner: str) -> AsyncIterator[bytes]:
        yield csv_lines([OVERVIEW])
        async for page in self._jobs(owner):
            yield csv_lines([_cell(getattr(job, column)) for column in OVERVIEW] for job in page)

    async def _jobs(self, owner: str) -> AsyncIterator[list[Job]]:
        place: tuple[datetime, UUID] | None = None
        while True:
            jobs = await self._store.newest(owner, status=None, before=place, limit=_PAGE)
            yield jobs
            if len(jobs) < _PAGE:
                return
            place = (jobs[-1].created_at, jobs[-1].id)

    async def _job(self, archive: Archive, owner: str, row: JobRow, *, recordings: bool) -> AsyncGenerator[bytes, None]:
        job, at = row.job, row.job.updated_at
        folder = f"jobs/{job.created_at:%Y-%m-%d} {_stem(job)} {str(job.id)[:8]}"
        archive.text(f"{folder}/job.json", job.model_dump_json(indent=2), modified=at)
        results: dict[str, tuple[str, type[Transcript] | type[Translation]]] = {}
        if row.transcript is not None:
            results["transcript"] = (row.transcript, Transcript)
        for language, blob in row.translations.items():
            results[f"translation.{language}"] = (blob, Translation)
        for name, (blob, model) in results.items():
            try:
                raw = await read_all(self._blobs, blob)
            except BlobNotFound:
                continue  # erased since
            archive.text(f"{folder}/{name}.json", raw.decode(), modified=at)
            archive.text(f"{folder}/{name}.txt", await asyncio.to_thread(_text, raw, model), modified=at)
        yield archive.take()
        sounds: dict[str, str] = {}
        if recordings and (source := await self._privacy.source(owner, job.id)) is not None:
            sounds[_recording(job)] = source
        if recordings and job.options.audio_format is not None:
            ending = AUDIO_FORMATS[job.options.audio_format].ending
            sounds[f"audio.{ending}"] = layout.stored_audio(owner, job.id, ending)
        for name, blob in sounds.items():
            try:
                async with aclosing(archive.member(f"{folder}/{name}", self._blobs.read(blob), modified=at)) as sound:
                    async for chunk in sound:
                        yield chunk
            except BlobNotFound:
                pass  # erased since, or not stored yet

    async def _upload(self, archive: Archive, found: Unfinished) -> AsyncGenerator[bytes, None]:
        upload = found.upload
        if found.blob is None:
            return
        name = f"uploads/{upload.created_at:%Y-%m-%d} {_stem(upload)} {str(upload.id)[:8]}/{_recording(upload)}"
        try:
            async with aclosing(archive.member(name, self._blobs.read(found.blob), modified=upload.created_at)) as file:
                async for chunk in file:
                    yield chunk
        except BlobNotFound:
            pass  # removed since


def _text(raw: bytes, model: type[Transcript] | type[Translation]) -> str:
    return render(model.model_validate_json(raw), "txt")


def _stem(job: Job | Upload) -> str:
    name = sanitise((job.filename or "").replace("/", "_")) or "recording"
    return (name.rpartition(".")[0] or name)[:80]


def _recording(job: Job | Upload) -> str:
    ending = (sanitise(job.filename) or "").rpartition(".")[2]
    return f"recording.{ending}" if ending and ending.isascii() and ending.isalnum() else "recording"


def _cell(value: Any) -> Any:
    """A value as a cell."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return _json(value, indent=None)
    return value


def _json(value: Any, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
