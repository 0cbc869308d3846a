"""What the room of batches needs of its neighbours."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from common.events import BlobRef, UploadReceived
from common.options import JobOptions


class Crypt(Protocol):
    """Keeps texts from whoever reads the database; `common.crypt.Crypt`."""

    def encrypt(self, text: str) -> str:
        """The text as a token."""
        ...

    def decrypt(self, token: str) -> str:
        """The text of a token; raises `common.crypt.Undecipherable`."""
        ...


class Addresses(Protocol):
    """Stores where a job's bytes are to be fetched from; `gateway.remote.Remote`."""

    async def receive(
        self, owner: str, job: UUID, url: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        """Store the address; return the event. A 422 problem when nobody may or can fetch it."""
        ...

    async def receive_blob(
        self, owner: str, job: UUID, name: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        """Store the name of a blob to be copied; return the event. A 422 problem when nobody can do what is asked."""
        ...


class Taken(Protocol):
    """An upload's bytes. The first job made of them has this id, for they lie in its folder."""

    @property
    def job_id(self) -> UUID:
        """The job."""
        ...

    @property
    def source(self) -> BlobRef:
        """The bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Their hash, in hexadecimal."""
        ...

    @property
    def filename(self) -> str | None:
        """The file's name."""
        ...

    @property
    def content_type(self) -> str | None:
        """The file's type, as its client named it."""
        ...

    @property
    def options(self) -> JobOptions:
        """Options that were sent with it."""
        ...

    @property
    def event(self) -> UploadReceived | None:
        """What made it that job; None when it was held, and waits to become one."""
        ...


class Uploads(Protocol):
    """Uploads that are named in a batch; `gateway.uploads.uploads.Uploads`."""

    async def take(self, owner: str, upload_id: UUID, *, by: str, options: Mapping[str, Any] | None = None) -> Taken:
        """Take a complete upload; the same ``by`` may take it again and gets the same.

        Parameters
        ----------
        options
            What is asked for beside the upload's own options.

        Raises
        ------
        Problem
            404 or 409 when there is none, it is not complete, it is a part, it is another's; 422 when it is a job that
            does something else than is asked for.
        """
        ...

    async def taken_by(self, owner: str, upload_id: UUID) -> str | None:
        """Who took an upload; None when nobody did, or there is none."""
        ...
