"""What the room of batches needs of its neighbours."""

from typing import Protocol
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


class Uploads(Protocol):
    """Uploads that were sent to be named in a batch."""

    async def take(self, owner: str, upload: str) -> tuple[BlobRef, str, str | None]:
        """The bytes of a whole upload of this owner, their SHA-256, and the file's name.

        Taking one again gives the same. Raises a 404 problem when there is none, or it is not whole.
        """
        ...
