"""From a file or an address to a job, and from a job to its transcripts; what every command does alike."""

from collections.abc import Iterator, Mapping
from typing import Any

from scribewire.client import Client
from scribewire.errors import JobFailed, NotOffered
from scribewire.models import Job
from scribewire.source import Source
from scribewire.verbs.jobs import Sent, nothing
from scribewire.verbs.unfinished import Unfinished

BIG = 16 << 20
"""Bytes from which on an upload can be taken up again; a smaller one is sent anew sooner than that is settled."""


def options_of(**given: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def in_query(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a query has them; a tuple as one value, for where it is empty that says something."""
    return {name: _in_query(value) for name, value in options.items()}


def _in_query(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else value


def send(
    client: Client,
    source: Source,
    options: Mapping[str, Any],
    *,
    sent: Sent = nothing,
    memory: Unfinished | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Submit a file or an address.

    Parameters
    ----------
    idempotency_key
        Of what is sent in one request.
    memory
        Where the upload of a big file is remembered; None sends any file in one request.
    """
    file = source.path
    if source.url is not None:
        return client.submit_url(source.url, options, idempotency_key=idempotency_key)
    if memory is not None and file.stat().st_size >= BIG:
        try:
            return client.upload(file, options, sent=sent, unfinished=memory)
        except NotOffered:
            # Then in one request.
            pass
    return client.submit(file, in_query(options), sent=sent, idempotency_key=idempotency_key)


def fetch(client: Client, job: Job, suffix: str) -> Iterator[tuple[str, bytes | JobFailed]]:
    """A completed job's transcript and its translations, each under its suffix, or why there is none."""
    yield suffix, client.transcript(job["id"], format=suffix)
    for translation in job.get("translations") or ():
        language = translation["language"]
        if error := translation.get("error"):
            yield language, JobFailed(error["code"], f"not translated into {language}: {error['message']}")
            continue
        yield f"{language}.{suffix}", client.transcript(job["id"], format=suffix, language=language)


def failure(job: Job) -> JobFailed:
    """Why a job that ended has no transcript."""
    error = job.get("error") or {"code": job["status"], "message": f"the job was {job['status']}"}
    return JobFailed(error["code"], error["message"])
