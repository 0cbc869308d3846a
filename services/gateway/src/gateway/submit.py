"""POST /v1/jobs: bytes stored, event acknowledged, row opened; in this order, so that a 202 is never lost."""

from collections.abc import Sequence
from contextlib import aclosing
from uuid import UUID

import structlog
from aiohttp import web

from common import catalogue, ids, layout
from common.blobs import Blobs
from common.bus.control import ControlLog
from common.bus.producer import Producer
from common.events import BlobRef, UploadReceived
from common.options import JobOptions, SegmentPlan
from gateway.accepted import Accepted
from gateway.addresses import public_url
from gateway.answers import json_answer
from gateway.auth import owner_of
from gateway.claims import claim, idempotency_key
from gateway.fields import job_options
from gateway.filenames import printable, sanitise
from gateway.form import MULTIPART_ROOM, pieces
from gateway.intake import Intake
from gateway.measure import UPLOADED
from gateway.models import Job
from gateway.problems import INVALID, JOB_DELETED, TOO_LARGE, UNSUPPORTED, Problem
from gateway.settings import GatewaySettings
from gateway.store import Store, StoreUnavailable

log = structlog.get_logger(__name__)


class Submit:
    """Takes an upload and makes it a job.

    A client that gets a 503 may send the same request again; with an Idempotency-Key it is the same job. What was
    stored for a request that ended in a 503 stays until the sweep, for its event may still be published.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        producer: Producer,
        control: ControlLog,
        store: Store,
        accepted: Accepted,
        engines: Sequence[catalogue.Engine],
        settings: GatewaySettings,
    ) -> None:
        self._blobs = blobs
        self._producer = producer
        self._control = control
        self._store = store
        self._accepted = accepted
        self._engines = engines
        self._settings = settings

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 202 with the job, also when the same key brings the same request again."""
        owner = owner_of(request)
        key = idempotency_key(request.headers.getall("Idempotency-Key", ()))
        job_id = ids.job_id(owner, key)
        if key is not None and self._control.deleted(job_id):
            raise Problem(JOB_DELETED, "The job of this Idempotency-Key was deleted; use a new key.")
        event = await self._store_upload(request, owner, job_id, idempotent=key is not None)
        if key is not None:
            event = await claim(self._blobs, event)
        job = await self._already_there(event) if key is not None else None
        if job is None:
            await self._producer.publish(event, timeout=self._settings.publish_seconds)
            job = Job.accepted(event)
            self._accepted.add(owner, job)
            UPLOADED.inc(job.size or 0)
            await self._open(event)
            log.info("job_accepted", job_id=str(job.id), size=job.size, lane=job.priority)
        return json_answer(job, status=202, headers={"Location": f"/v1/jobs/{job.id}"})

    async def _store_upload(
        self, request: web.Request, owner: str, job_id: UUID, *, idempotent: bool
    ) -> UploadReceived:
        limit = self._settings.max_file_size
        is_form = request.content_type == "multipart/form-data"
        if (request.content_length or 0) > limit + (MULTIPART_ROOM if is_form else 0):
            raise Problem(TOO_LARGE, f"A file may have at most {limit} bytes.", limit_bytes=limit)
        if not is_form:
            self._plan(job_options(request.query.items()))
        intake = Intake(
            pieces(request, stall=self._settings.upload_stall_seconds, limit=limit),
            fields=request.query.items(),
            limit=limit,
        )

        def name() -> str:
            # Asked for when the body has ended: what nobody can do is refused before the bytes get their name.
            self._plan(intake.options)
            return layout.original(owner, job_id, intake.sha256)

        async with aclosing(intake.content()) as content:
            await self._blobs.write(name, content)
        options, plan = intake.options, self._plan(intake.options)
        return UploadReceived(
            job_id=job_id,
            owner=owner,
            lane=options.priority,
            source=BlobRef(name=layout.original(owner, job_id, intake.sha256), size=intake.size),
            filename=sanitise(intake.head.filename),
            content_type=printable(intake.head.content_type),
            sha256=intake.sha256,
            options=options,
            plan=plan,
            idempotent=idempotent,
            same_as=await self._same(owner, intake.sha256, options, plan),
        )

    async def _same(self, owner: str, sha256: str, options: JobOptions, plan: SegmentPlan) -> UUID | None:
        """A job whose results may be copied for this one; without Postgres the work is just done again."""
        if not (self._settings.reuse and options.reuse):
            return None
        try:
            found = await self._store.same(owner, sha256, options, plan.provider)
        except StoreUnavailable:
            return None
        return None if found is None or self._control.deleted(found) else found

    def _plan(self, options: JobOptions) -> SegmentPlan:
        """Who will do it and how the audio is cut; a 422 problem names what nobody can do, and who could."""
        if options.callback_url is not None:
            public_url("callback_url", options.callback_url, allow_private=self._settings.webhook_allow_private)
        try:
            plan = catalogue.choose(options, self._engines)
            catalogue.check_translator(options, self._engines)
            for language in options.translate:
                if language.lower() in {options.language.lower(), catalogue.primary(options.language)}:
                    message = f"the recording is already in {options.language}"
                    raise Problem(INVALID, f"translate: {message}.", errors=[("translate", message)])
                catalogue.choose_translator(language, options.language, options, self._engines)
        except catalogue.Unsupported as error:
            raise Problem(UNSUPPORTED, error.message, errors=[(error.field, error.message)]) from None
        bound = self._settings.segment_seconds
        if bound is None or plan.max_seconds is None or plan.max_seconds <= bound:
            return plan
        return plan.model_copy(update={"max_seconds": bound})

    async def _already_there(self, event: UploadReceived) -> Job | None:
        """The job of a request that came before, unless its event may be missing from the log."""
        try:
            row = await self._store.job(event.owner, event.job_id)
        except StoreUnavailable:
            row = None
        return row.job if row is not None else self._accepted.get(event.owner, event.job_id)

    async def _open(self, event: UploadReceived) -> None:
        # The event is in the log, so the job exists: without Postgres the recorder opens the row later.
        try:
            await self._store.open(event)
        except StoreUnavailable:
            log.warning("row_not_opened", job_id=str(event.job_id))
        except Exception:
            log.exception("row_not_opened", job_id=str(event.job_id))
