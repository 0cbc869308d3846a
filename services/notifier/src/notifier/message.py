"""What a receiver is told about a job that ended."""

import json

from common.events import Terminal


def body(event: Terminal) -> str:
    """The webhook's body: a function of the event alone, so that one id never has two bodies.

    It says what happened and where the result is; texts stay behind the key.
    """
    return json.dumps(
        {
            "type": event.type,
            "timestamp": event.time.isoformat().replace("+00:00", "Z"),
            "data": {
                "id": str(event.job_id),
                "status": event.type.removeprefix("job."),
                "filename": event.filename,
                "language": event.language,
                "duration": event.duration,
                "words": event.words,
                "error": event.error.model_dump() if event.error else None,
                "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
                "transcript": f"/v1/jobs/{event.job_id}/transcript" if event.transcript else None,
            },
        },
        separators=(",", ":"),
    )
