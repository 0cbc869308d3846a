"""POST /v1/jobs: bytes or address stored, event acknowledged, row opened; in this order, so that no 202 is lost."""

from contextlib import aclosing
from uuid import UUID

from aiohttp import web

from common import ids, layout
from common.blobs import Blobs
from common.bus.control import ControlLog
from common.events import BlobRef, UploadReceived
from gateway.acceptance import Acceptance
from gateway.answers import json_answer
from gateway.claims import claim, idempotency_key
from gateway.fields import job_options
from gateway.filenames import printable, sanitise
from gateway.form import MULTIPART_ROOM, pieces
from gateway.intake import Intake
from gateway.models import NewJob
from gateway.principal import owner_of
from gateway.problems import INVALID, JOB_DELETED, TOO_LARGE, Problem
from gateway.remote import Remote, check_visible
from gateway.routing import BODY, body_of
from gateway.settings import GatewaySettings
from gateway.walls.gate import Gate
from gateway.walls.price import Price


class Submit:
    """Takes an upload, or an address in a JSON body, and makes it a job.

    A client that gets a 503 may send the same request again; with an Idempotency-Key it is the same job. What was
    stored for a request that ended in a 503 stays until the sweep, for its event may still be published.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        control: ControlLog,
        acceptance: Acceptance,
        remote: Remote,
        gate: Gate,
        settings: GatewaySettings,
    ) -> None:
        self._blobs = blobs
        self._control = control
        self._acceptance = acceptance
        self._remote = remote
        self._gate = gate
        self._settings = settings

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 202 with the job, also when the same key brings the same request again."""
        owner = owner_of(request)
        key = idempotency_key(request.headers.getall("Idempotency-Key", ()))
        job_id = ids.job_id(owner, key)
        if key is not None and self._control.deleted(job_id):
            raise Problem(JOB_DELETED, "The job of this Idempotency-Key was deleted; use a new key.")
        # Before the body: what a limit does not allow need not be sent.
        async with self._gate.held(owner, job_id, self._price(request)) as admission:
            store = self._store_address if BODY in request else self._store_upload
            event = await store(request, owner, job_id, idempotent=key is not None)
            if key is not None:
                event = await claim(self._blobs, event)
            job = await self._acceptance.accept(event, admission)
        return json_answer(job, status=202, headers={"Location": f"/v1/jobs/{job.id}", **admission.headers})

    def _price(self, request: web.Request) -> Price | None:
        """What the job will cost; None where the options come with the body."""
        if request.content_type == "multipart/form-data":
            return None
        if BODY in request:
            options = body_of(request, NewJob).options
            check_visible(options)
        else:
            options = job_options(request.query.items())
        return self._gate.price(options, self._acceptance.plan(options))

    async def _store_address(
        self, request: web.Request, owner: str, job_id: UUID, *, idempotent: bool
    ) -> UploadReceived:
        if beside := sorted(set(request.query)):
            errors = [(name, "belongs into 'options' of the body") for name in beside]
            raise Problem(INVALID, f"Not valid beside a JSON body: {', '.join(beside)}.", errors=errors)
        body = body_of(request, NewJob)
        return await self._remote.receive(owner, job_id, body.url, body.options, idempotent=idempotent)

    async def _store_upload(
        self, request: web.Request, owner: str, job_id: UUID, *, idempotent: bool
    ) -> UploadReceived:
        limit = self._settings.max_file_size
        is_form = request.content_type == "multipart/form-data"
        if (request.content_length or 0) > limit + (MULTIPART_ROOM if is_form else 0):
            raise Problem(TOO_LARGE, f"A file may have at most {limit} bytes.", limit_bytes=limit)
        intake = Intake(
            pieces(request, stall=self._settings.upload_stall_seconds, limit=limit),
            fields=request.query.items(),
            limit=limit,
        )

        def name() -> str:
            # Asked for when the body has ended: what nobody can do is refused before the bytes get their name.
            self._acceptance.plan(intake.options)
            return layout.original(owner, job_id, intake.sha256)

        async with aclosing(intake.content()) as content:
            await self._blobs.write(name, content)
        options, plan = intake.options, self._acceptance.plan(intake.options)
        return UploadReceived(
            job_id=job_id,
            owner=owner,
            lane=options.lane,
            source=BlobRef(name=layout.original(owner, job_id, intake.sha256), size=intake.size),
            filename=sanitise(intake.head.filename),
            content_type=printable(intake.head.content_type),
            sha256=intake.sha256,
            options=options,
            plan=plan,
            idempotent=idempotent,
            same_as=await self._acceptance.same(owner, intake.sha256, options, plan),
        )
