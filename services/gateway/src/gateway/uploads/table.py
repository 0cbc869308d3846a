"""The addresses of uploads in several requests."""

from gateway.routing import Answer, Route
from gateway.uploads.headers import CONTENT_TYPE

_TUS = {
    "Tus-Resumable": "`1.0.0`; without it the answer is 412.",
    "X-HTTP-Method-Override": "The method that is meant, for clients that can only send POST.",
}
_CHECKSUM = {"Upload-Checksum": "`sha1`, `sha256` or `md5`, a space, and the hash of this request's bytes in Base64."}
_JOB = {"Scribewire-Job": "Id of the job, once all bytes are there."}
_EXPIRES = {"Upload-Expires": "When the upload is given up unless bytes come."}
_OFFSET = {"Upload-Offset": "How many bytes are stored for good."}
_SPOKEN = Answer(
    "What is spoken.",
    headers={
        "Tus-Version": "`1.0.0`",
        "Tus-Extension": "Extensions of tus, with commas.",
        "Tus-Max-Size": "Bytes that an upload may have.",
        "Tus-Checksum-Algorithm": "Names of hashes, with commas.",
    },
)
_ID = "/v1/uploads/{id}"

OPTIONS = frozenset({"ask_uploads", "ask_upload"})
"""Operations that only say what is spoken."""

ROUTES: tuple[Route, ...] = (
    Route(
        operation="create_upload",
        method="POST",
        path="/v1/uploads",
        scope="jobs:write",
        summary="Begin an upload in several requests (tus 1.0)",
        description=(
            "`Upload-Metadata` may have `filename`, `filetype`, `options` (a JSON object as for `POST /v1/jobs`), and "
            "`hold` without a value for an upload that a batch will use. The upload becomes a job with its last byte. "
            "With `Upload-Concat: final;` and the addresses of partial uploads, these become the job at once; the same "
            "request again is the same upload. What a limit does not allow now is refused before its bytes, unless "
            "it is held; the job is counted with the last byte."
        ),
        headers={
            **_TUS,
            "Upload-Length": "Bytes that there will be.",
            "Upload-Defer-Length": "`1` when that is not known yet.",
            "Upload-Metadata": "Names, each with a space and its value in Base64, and commas between.",
            "Upload-Concat": "`partial`, or `final;` and the addresses of partial uploads.",
            "Idempotency-Key": (
                "1 to 255 visible ASCII characters; the same key, length, metadata and parts are one upload."
            ),
            **_CHECKSUM,
        },
        binary=CONTENT_TYPE,
        answers={
            201: Answer("It is there.", headers={"Location": "Address of the upload.", **_OFFSET, **_EXPIRES, **_JOB}),
            204: _SPOKEN,
        },
        problems=(400, 402, 404, 405, 408, 409, 410, 412, 413, 415, 422, 423, 429, 460, 503),
    ),
    Route(
        operation="ask_uploads",
        method="OPTIONS",
        path="/v1/uploads",
        summary="What of tus is spoken here",
        answers={204: _SPOKEN},
        door="open",
    ),
    Route(
        operation="look_at_upload",
        method="HEAD",
        path=_ID,
        scope="jobs:write",
        summary="How far an upload is",
        description="When all bytes are there and the job could not be made before, it is made now.",
        headers=_TUS,
        answers={
            200: Answer(
                "How far it is.",
                headers={
                    **_OFFSET,
                    "Upload-Length": "Bytes that there will be, if that is known.",
                    "Upload-Defer-Length": "`1` when that is not known yet.",
                    "Upload-Metadata": "As it was given.",
                    "Upload-Concat": "As it was given.",
                    **_EXPIRES,
                    **_JOB,
                },
            )
        },
        problems=(402, 404, 405, 410, 412, 415, 422, 423, 429, 503),
    ),
    Route(
        operation="send_to_upload",
        method="PATCH",
        path=_ID,
        scope="jobs:write",
        summary="Send the next bytes of an upload",
        description="After a 503 or a lost connection ask with HEAD how far it is, and go on from there.",
        headers={
            **_TUS,
            "Upload-Offset": "How many bytes came before.",
            "Upload-Length": "Bytes that there will be, when that was not known at first.",
            **_CHECKSUM,
        },
        binary=CONTENT_TYPE,
        answers={204: Answer("They are stored for good.", headers={**_OFFSET, **_EXPIRES, **_JOB})},
        problems=(400, 402, 404, 405, 408, 409, 410, 412, 413, 415, 422, 423, 429, 460, 503),
    ),
    Route(
        operation="drop_upload",
        method="DELETE",
        path=_ID,
        scope="jobs:write",
        summary="Give an upload up",
        description="What became a job stays a job; that is deleted at its own address.",
        headers=_TUS,
        answers={204: Answer("It is gone.")},
        problems=(404, 405, 410, 412, 415, 503),
    ),
    Route(
        operation="post_to_upload",
        method="POST",
        path=_ID,
        scope="jobs:write",
        summary="Any of these, named in X-HTTP-Method-Override",
        headers=_TUS,
        binary=CONTENT_TYPE,
        answers={200: Answer("As HEAD."), 204: Answer("As PATCH or DELETE.")},
        problems=(400, 402, 404, 405, 408, 409, 410, 412, 413, 415, 422, 423, 429, 460, 503),
    ),
    Route(
        operation="ask_upload",
        method="OPTIONS",
        path=_ID,
        summary="What of tus is spoken here, for one upload",
        answers={204: _SPOKEN},
        problems=(404,),
        door="open",
    ),
)
