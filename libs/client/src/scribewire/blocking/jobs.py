"""Jobs, blocking."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from scribewire.blocking.calling import Calling
from scribewire.errors import Unreachable
from scribewire.following import PAUSE, Following
from scribewire.models import Job, JobPage
from scribewire.verbs import jobs
from scribewire.verbs.jobs import Sent, nothing
from scribewire.verbs.unfinished import Unfinished
from scribewire.verbs.uploads import Upload


class Jobs(Calling):
    """Submit, show, list, follow, cancel, delete."""

    def submit(
        self,
        media: Path | bytes,
        options: Mapping[str, Any] | None = None,
        *,
        filename: str | None = None,
        idempotency_key: str | None = None,
        sent: Sent = nothing,
    ) -> Job:
        """Send a file, or bytes, as a new job in one request; repeating after a failure is safe because of the key.

        Parameters
        ----------
        options
            Names and values of `JobOptions`; a list is sent as a repeated parameter.
        filename
            By default the file's.
        idempotency_key
            The same key and body give the same job; by default a fresh one for this call.
        sent
            Called with the number of bytes sent so far.

        Raises
        ------
        Problem
            When the gateway refuses; `Unreachable` when it does not answer, `FileChanged` when the file is written to
            meanwhile, OSError when it cannot be read.
        """
        call = jobs.submit(self._caller, media, options, filename=filename, idempotency_key=idempotency_key, sent=sent)
        return self._run(call)

    def submit_url(
        self, url: str, options: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Job:
        """Make what lies at an address a new job: the platform fetches it."""
        return self._run(jobs.submit_url(self._caller, url, options, idempotency_key=idempotency_key))

    def upload(
        self,
        file: Path,
        options: Mapping[str, Any] | None = None,
        *,
        filename: str | None = None,
        sent: Sent = nothing,
        unfinished: Unfinished | None = None,
    ) -> Job:
        """Send a file as a new job by tus 1.0: after a cut it goes on where it broke off.

        Parameters
        ----------
        options
            Names and values of `JobOptions`.
        unfinished
            Where the upload is remembered, so that another process goes on with it; see `scribewire.unfinished`.
        """
        return self._run(self._upload(file, options, filename, sent, unfinished, hold=False).job())

    def hold(
        self,
        file: Path,
        *,
        filename: str | None = None,
        sent: Sent = nothing,
        unfinished: Unfinished | None = None,
    ) -> str:
        """Send a file by tus 1.0 for a later batch, and give the id by which its manifest can name it as `upload`."""
        return self._run(self._upload(file, None, filename, sent, unfinished, hold=True).held())

    def job(self, job_id: str) -> Job:
        """Show a job."""
        return self._run(jobs.show(self._caller, job_id))

    def jobs(self, *, limit: int = 20, status: str | None = None, cursor: str | None = None) -> JobPage:
        """One page of jobs, newest first."""
        return self._run(jobs.page(self._caller, limit=limit, status=status, cursor=cursor))

    def history(self, *, status: str | None = None) -> Iterator[Job]:
        """Every job, newest first, page by page as they are asked for."""
        return self._pages(lambda cursor: jobs.page(self._caller, limit=100, status=status, cursor=cursor), "jobs")

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; its record stays."""
        return self._run(jobs.cancel(self._caller, job_id))

    def delete(self, job_id: str) -> None:
        """Cancel a job and erase everything of it."""
        self._run(jobs.delete(self._caller, job_id))

    def add_webhook(self, url: str, events: Sequence[str] | None = None) -> dict[str, Any]:
        """Register an address for terminal events; the answer's ``secret`` verifies them and is shown once."""
        return self._run(jobs.add_webhook(self._caller, url, events))

    def transcript(self, job_id: str, *, format: str = "json", language: str | None = None) -> bytes:  # noqa: A002
        """A finished job's transcript, or its translation into a language, as json, txt, srt or vtt."""
        return self._run(jobs.transcript(self._caller, job_id, format=format, language=language))

    def audio(self, job_id: str, into: Path | BinaryIO) -> None:
        """The audio that a job was asked to store (`audio_format`), streamed into a file."""
        if isinstance(into, Path):
            with into.open("w+b") as file:
                self._run(jobs.audio(self._caller, job_id, file))
        else:
            self._run(jobs.audio(self._caller, job_id, into))

    def follow(self, job_id: str) -> Iterator[Job]:
        """Yield a job's state as it changes, the last one terminal; a dropped connection is taken up again.

        Raises
        ------
        Problem
            When there is no such job; `Unreachable` when the gateway stays away for longer than the client's patience.
        """
        following = Following(job_id, url=self.gateway.url, patience=self._patience)
        while not following.ended:
            try:
                request = following.request()
                headers = {**request.headers, **self._run(self._caller.shown())}
                with self._http.stream(request.method, request.path, headers=headers) as response:
                    if response.is_error:
                        response.read()
                    if following.refused(response):
                        self._run(self._caller.renew(response))
                        continue
                    for line in response.iter_lines():
                        if (job := following.line(line)) is not None:
                            yield job
            except (httpx.TransportError, Unreachable) as error:
                following.lost(error)
            if not following.ended:
                time.sleep(PAUSE)

    def _upload(
        self,
        file: Path,
        options: Mapping[str, Any] | None,
        filename: str | None,
        sent: Sent,
        unfinished: Unfinished | None,
        *,
        hold: bool,
    ) -> Upload:
        return Upload(self._caller, file, options, filename=filename, hold=hold, sent=sent, unfinished=unfinished)
