"""What makes stored bytes a job: the event in the log, then the row; in this order, so that a job is never lost."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from common import catalogue
from common.bus.control import ControlLog
from common.bus.producer import Producer
from common.events import UploadReceived
from common.options import JobOptions, SegmentPlan
from common.plugins.installed import unknown
from gateway.accepted import Accepted
from gateway.addresses import public_url
from gateway.database import StoreUnavailable
from gateway.deferred import Deferred
from gateway.measure import UPLOADED
from gateway.models import Job
from gateway.problems import INVALID, UNSUPPORTED, Problem
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.walls.gate import Admission, Gate

log = structlog.get_logger(__name__)


class Acceptance:
    """Every way in ends here: uploads in one request or many, addresses, items of batches."""

    def __init__(
        self,
        *,
        producer: Producer,
        control: ControlLog,
        store: Store,
        accepted: Accepted,
        deferred: Deferred,
        engines: Sequence[catalogue.Engine],
        settings: GatewaySettings,
        gate: Gate,
        plugins: Sequence[str] = (),
    ) -> None:
        self._producer = producer
        self._control = control
        self._store = store
        self._accepted = accepted
        self._deferred = deferred
        self._engines = engines
        self._settings = settings
        self._gate = gate
        self._plugins = plugins
        if (wrong := unknown(settings.plugins, plugins)) is not None:
            msg = f"SCRIBEWIRE_PLUGINS: {wrong}"
            raise ValueError(msg)

    async def accept(self, event: UploadReceived, admission: Admission | None = None) -> Job:
        """Publish the event and open the job's row; an event of an idempotent request whose job is there does nothing.

        Parameters
        ----------
        admission
            Leave that was given before the upload; without it the job is counted now.

        Raises
        ------
        Problem
            402 or 429 when a limit of the owner does not allow the job.
        BusUnavailable
            When Kafka did not acknowledge the event: it may be in the log all the same, so the bytes must stay.
        StoreUnavailable
            When the job is to be deferred and PostgreSQL is away, or is too busy to count it.
        """
        event = event.model_copy(update={"options": self._complete(event.options)})
        job = await self._already_there(event) if event.idempotent else None
        if job is None:
            held = event.options.priority == "deferred"
            async with self._gate.settled(event, admission):
                if held:
                    await self._deferred.hold(event)
                else:
                    await self._producer.publish(event, timeout=self._settings.publish_seconds)
            job = Job.accepted(event)
            self._accepted.add(event.owner, job)
            UPLOADED.inc(job.size or 0)
            if not held:
                await self._open(event)
            log.info("job_accepted", job_id=str(job.id), size=job.size, priority=event.options.priority)
        return job

    async def let_go(self, event: UploadReceived) -> None:
        """Put the event of a job that was held into the log, and open its row anew if need be."""
        await self._producer.publish(event, timeout=self._settings.publish_seconds)
        await self._open(event)

    async def same(self, owner: str, sha256: str, options: JobOptions, plan: SegmentPlan) -> UUID | None:
        """A job whose results may be copied for this one; without Postgres the work is just done again."""
        if not (self._settings.reuse and options.reuse):
            return None
        try:
            found = await self._store.same(owner, sha256, self._complete(options), plan.provider)
        except StoreUnavailable:
            return None
        return None if found is None or self._control.deleted(found) else found

    def plan(self, options: JobOptions) -> SegmentPlan:
        """Who will do it and how the audio is cut; a 422 problem names what nobody can do, and who could."""
        if options.deadline is not None and options.priority != "deferred":
            message = "has a meaning only with the priority 'deferred'"
            raise Problem(INVALID, f"deadline {message}.", errors=[("deadline", message)])
        if options.callback_url is not None:
            public_url("callback_url", options.callback_url, allow_private=self._settings.webhook_allow_private)
        if (wrong := unknown(options.plugins or (), self._plugins)) is not None:
            raise Problem(UNSUPPORTED, wrong, errors=[("plugins", wrong)])
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

    def costs(self, options: JobOptions) -> bool:
        """Whether a job with these options costs anything; a 422 problem when nobody can do it."""
        return self._gate.price(self._complete(options), self.plan(options)).paid

    def _complete(self, options: JobOptions) -> JobOptions:
        """The options with the plug-ins that will run, None for none: the operator's where the client left it to them.

        Only here, behind the comparison of an idempotent request with its first: that is of what the client sent.
        """
        chosen = self._settings.plugins if options.plugins is None else options.plugins
        return options.model_copy(update={"plugins": chosen or None})

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
