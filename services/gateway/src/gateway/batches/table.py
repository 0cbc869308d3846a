"""The addresses of batches."""

from gateway.batches.models import (
    Batch,
    BatchAccepted,
    BatchDefaults,
    BatchesQuery,
    BatchItems,
    BatchPage,
    BatchPrefix,
    ItemsQuery,
)
from gateway.models import Deletion
from gateway.routing import Answer, Route

MANIFESTS = {"application/x-ndjson": None, "text/csv": None, "application/json": BatchPrefix}

ROUTES: tuple[Route, ...] = (
    Route(
        operation="submit_batch",
        audit="batch.submitted",
        method="POST",
        path="/v1/batches",
        scope="jobs:write",
        summary="Send a manifest of many recordings",
        description=(
            'JSON Lines, a line being `{"url" | "blob" | "upload", "options", "reference"}`; or CSV with a '
            'header line, whose columns are these or names of options; or JSON `{"prefix"}` for every blob below it. '
            "At most 100,000 items, 16 KiB a line. Options of the query hold for every item, a line's own come before. "
            "Items go to the `bulk` lane unless they say otherwise, and are released little by little. Bad lines are "
            "kept and listed, unless `strict`. With an `Idempotency-Key` a submit that was cut can be sent again: it "
            "goes on where it was, and ends with the same batch."
        ),
        query=BatchDefaults,
        takes=MANIFESTS,
        headers={"Idempotency-Key": "1 to 255 visible ASCII characters; the same key and manifest are the same batch."},
        answers={202: Answer("The batch.", BatchAccepted, headers={"Location": "Address of the batch."})},
        problems=(400, 408, 409, 413, 415, 422, 503),
    ),
    Route(
        operation="list_batches",
        method="GET",
        path="/v1/batches",
        scope="jobs:read",
        summary="List batches, newest first",
        query=BatchesQuery,
        answers={200: Answer("A page of batches.", BatchPage)},
        problems=(422, 503),
    ),
    Route(
        operation="get_batch",
        method="GET",
        path="/v1/batches/{id}",
        scope="jobs:read",
        summary="How a batch is doing",
        answers={200: Answer("The batch.", Batch)},
        problems=(404, 503),
    ),
    Route(
        operation="list_batch_items",
        method="GET",
        path="/v1/batches/{id}/items",
        scope="jobs:read",
        summary="List a batch's items",
        query=ItemsQuery,
        answers={200: Answer("A page of items.", BatchItems)},
        problems=(404, 422, 503),
    ),
    Route(
        operation="get_batch_report",
        method="GET",
        path="/v1/batches/{id}/report",
        scope="jobs:read",
        summary="Every item and its outcome as CSV",
        answers={
            200: Answer(
                "One record an item.", media=("text/csv",), headers={"Content-Disposition": "A file name that fits."}
            )
        },
        problems=(404, 503),
    ),
    Route(
        operation="retry_batch",
        audit="batch.retried",
        method="POST",
        path="/v1/batches/{id}/retry",
        scope="jobs:write",
        summary="Try the failed items again",
        description="Each becomes a new job; all others stay as they are. Repeating it while they run does nothing.",
        answers={202: Answer("The batch as it is now.", Batch)},
        problems=(404, 409, 503),
    ),
    Route(
        operation="cancel_batch",
        audit="batch.cancelled",
        method="POST",
        path="/v1/batches/{id}/cancel",
        scope="jobs:write",
        summary="Stop a batch and keep its record",
        description="What waits is dropped at once; what runs is cancelled as `/v1/jobs/{id}/cancel` does.",
        answers={202: Answer("The batch as it is now.", Batch)},
        problems=(404, 409, 503),
    ),
    Route(
        operation="delete_batch",
        audit="batch.deleted",
        method="DELETE",
        path="/v1/batches/{id}",
        scope="jobs:write",
        summary="Stop a batch and erase everything of it, its jobs included",
        description="From the answer on the batch is not found any more; its jobs follow in the background.",
        answers={202: Answer("The erasure goes on in the background.", Deletion)},
        problems=(404, 503),
    ),
)
