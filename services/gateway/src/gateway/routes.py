"""Every address of the gateway in one table; the server and the OpenAPI document are both made from it."""

from common.audio_formats import AUDIO_FORMATS
from common.options import JobOptions
from gateway.batches import table as batches
from gateway.identity import keys_table
from gateway.identity import table as identity
from gateway.models import (
    Deletion,
    Health,
    Job,
    JobPage,
    JobsQuery,
    NewJob,
    NewWebhook,
    TranscriptQuery,
    WebhookCreated,
    WebhookList,
)
from gateway.privacy import table as privacy
from gateway.routing import Answer, Route
from gateway.uploads import table as uploads
from gateway.walls import table as walls

_OWN: tuple[Route, ...] = (
    Route(
        operation="submit_job",
        audit="job.submitted",
        method="POST",
        path="/v1/jobs",
        scope="jobs:write",
        summary="Send a recording",
        description=(
            "Either `multipart/form-data` with the file in a part named `file` and options as fields, before or after "
            "it; or the file as the body, of any content type, with options as query parameters and its name, "
            "percent-encoded, in `X-Filename`; or `application/json` with the address to fetch the file from. The 202 "
            "is sent once the bytes, or the address, are stored and the job is in the log. "
            "After a 503 the same request may be sent again: with an `Idempotency-Key` it stays one job."
        ),
        query=JobOptions,
        body=NewJob,
        upload=True,
        headers={
            "Idempotency-Key": "1 to 255 visible ASCII characters; the same key, file or address, and options are one.",
            "X-Filename": "Name of the file, percent-encoded, when the body is the file.",
        },
        answers={
            202: Answer(
                "The job.",
                Job,
                headers={
                    "Location": "Address of the job.",
                    "RateLimit": "What is left of the caller's limits, where there are any.",
                    "RateLimit-Policy": "The limits.",
                },
            )
        },
        problems=(400, 402, 408, 409, 413, 415, 422, 429, 503),
    ),
    Route(
        operation="list_jobs",
        method="GET",
        path="/v1/jobs",
        scope="jobs:read",
        summary="List jobs, newest first",
        query=JobsQuery,
        answers={200: Answer("A page of jobs, and how many there are in each state.", JobPage)},
        problems=(422, 503),
    ),
    Route(
        operation="get_job",
        method="GET",
        path="/v1/jobs/{id}",
        scope="jobs:read",
        summary="How a job is doing",
        answers={200: Answer("The job.", Job)},
        problems=(404, 503),
    ),
    Route(
        operation="watch_job",
        method="GET",
        path="/v1/jobs/{id}/events",
        scope="stream",
        summary="Follow a job live",
        description=(
            "Server-sent events. The `data` of each is the whole job; `event` is `progress`, or `completed`, `failed`, "
            "`cancelled` or `deleted` for the last one, after which the stream ends. The first event says how the job "
            "is now, unless the client has seen just that. `id` is the state's rank and the fraction, such as "
            "`2-0.5000`; a client that comes back with `Last-Event-ID` is never sent back behind it, and gets 204 when "
            "it has seen the end."
        ),
        headers={"Last-Event-ID": "The `id` of the last event seen."},
        answers={
            200: Answer("The events.", media=("text/event-stream",)),
            204: Answer("The client has seen the last event."),
        },
        problems=(404, 503),
    ),
    Route(
        operation="get_transcript",
        method="GET",
        path="/v1/jobs/{id}/transcript",
        scope="jobs:read",
        summary="The transcript, or a translation of it",
        description="A 409 says in `job_status` how the job is, and in `error` why there will be no result.",
        query=TranscriptQuery,
        answers={
            200: Answer(
                "The transcript in the form asked for.",
                media=("application/json", "text/plain", "application/x-subrip", "text/vtt"),
                headers={"Content-Disposition": "A file name that fits."},
            )
        },
        problems=(404, 409, 422, 503),
    ),
    Route(
        operation="get_audio",
        method="GET",
        path="/v1/jobs/{id}/audio",
        scope="jobs:read",
        summary="The audio in the format that the job asked for",
        description=(
            "What `audio_format` had stored beside the original: the whole recording at its own sample rate where the "
            "format has it, one channel or two. A 409 says in `job_status` how the job is; a 404 also that no audio "
            "was asked for."
        ),
        answers={
            200: Answer(
                "The audio.",
                media=tuple(dict.fromkeys(form.media_type for form in AUDIO_FORMATS.values())),
                headers={"Content-Disposition": "A file name that fits."},
            )
        },
        problems=(404, 409, 503),
    ),
    Route(
        operation="cancel_job",
        audit="job.cancelled",
        method="POST",
        path="/v1/jobs/{id}/cancel",
        scope="jobs:write",
        summary="Stop a job and keep its record",
        answers={202: Answer("The job as it is now; it will be `cancelled` unless it ends first.", Job)},
        problems=(404, 409, 503),
    ),
    Route(
        operation="delete_job",
        audit="job.deleted",
        method="DELETE",
        path="/v1/jobs/{id}",
        scope="jobs:write",
        summary="Stop a job and erase everything of it",
        description="From the answer on, the job is not found any more, on every replica.",
        answers={
            202: Answer("The erasure goes on in the background.", Deletion),
            204: Answer("Everything is erased."),
        },
        problems=(404, 503),
    ),
    Route(
        operation="add_webhook",
        audit="webhook.added",
        method="POST",
        path="/v1/webhooks",
        scope="webhooks",
        summary="Have events sent to an address",
        description="Signed as Standard Webhooks says, with the secret of the answer, which is shown this once.",
        body=NewWebhook,
        answers={201: Answer("The address with its secret.", WebhookCreated)},
        problems=(400, 413, 415, 422, 503),
    ),
    Route(
        operation="list_webhooks",
        method="GET",
        path="/v1/webhooks",
        scope="webhooks",
        summary="List registered addresses",
        answers={200: Answer("Every address.", WebhookList)},
        problems=(503,),
    ),
    Route(
        operation="drop_webhook",
        audit="webhook.removed",
        method="DELETE",
        path="/v1/webhooks/{id}",
        scope="webhooks",
        summary="Forget an address",
        answers={204: Answer("It is forgotten.")},
        problems=(404, 503),
    ),
    Route(
        operation="openapi",
        method="GET",
        path="/openapi.json",
        summary="This document",
        answers={200: Answer("OpenAPI 3.1.", media=("application/json",))},
        door="open",
    ),
    Route(
        operation="alive",
        method="GET",
        path="/healthz",
        summary="Whether the process lives",
        answers={200: Answer("It does.", Health)},
        door="open",
    ),
    Route(
        operation="ready",
        method="GET",
        path="/readyz",
        summary="Whether uploads can be taken",
        description="Without Kafka or the store of files it is not; without PostgreSQL it is degraded.",
        answers={200: Answer("They can.", Health), 503: Answer("They cannot.", Health)},
        door="open",
    ),
    Route(
        operation="metrics",
        method="GET",
        path="/metrics",
        summary="Figures for Prometheus",
        answers={200: Answer("Prometheus text.", media=("text/plain",))},
        door="loopback",
    ),
)

ROUTES: tuple[Route, ...] = (
    *_OWN,
    *keys_table.ROUTES,
    *identity.ROUTES,
    *privacy.ROUTES,
    *uploads.ROUTES,
    *batches.ROUTES,
    *walls.ROUTES,
)
