"""The addresses of an export and of an account's end."""

from pydantic import BaseModel, ConfigDict, Field

from gateway.routing import Answer, Route


class ExportQuery(BaseModel):
    """What to put into an export."""

    model_config = ConfigDict(extra="forbid")

    recordings: bool = Field(default=True, description="Put the recordings themselves in.")


class AccountDeletion(BaseModel):
    """An account's end that is under way."""

    id: str
    status: str = "deleting"
    jobs: int = Field(description="How many jobs the account had.")


ROUTES: tuple[Route, ...] = (
    Route(
        operation="export_account",
        method="GET",
        path="/v1/account/export",
        scope="account",
        summary="Everything there is about you, in one ZIP",
        description=(
            "Made while it is sent: profile, consents, sessions, keys (without the keys), webhooks and what was sent "
            "to them, what you did, what others did with your account, usage, a folder for each job with the "
            "recording, the transcript and its translations, and uploads that are no job yet. One of yours is made at "
            "a time (409), and few by one gateway (503). A part that goes away meanwhile, and a reader who is slower "
            "than 128 KiB a second on average, end the answer early, and the file cannot be opened then."
        ),
        query=ExportQuery,
        answers={
            200: Answer(
                "The file.", media=("application/zip",), headers={"Content-Disposition": "A file name that fits."}
            )
        },
        problems=(409, 422, 503),
    ),
    Route(
        operation="delete_account",
        method="DELETE",
        path="/v1/account",
        scope="account",
        summary="End the account and erase everything of it",
        description=(
            "From the answer on nobody comes in with what belonged to the account. Jobs, recordings, transcripts, "
            "usage, webhooks and their deliveries are erased, in the log as well (within the time its topics take to "
            "forget), and `proof.deleted` with `account` true tells when nothing was left. A token of another issuer "
            "must be of the last 15 minutes."
        ),
        answers={
            202: Answer("The erasure goes on in the background.", AccountDeletion),
            204: Answer("Everything is erased."),
        },
        problems=(403, 409, 503),
    ),
)
