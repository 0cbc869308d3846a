"""A job from an address: that is stored where an upload's bytes would be, and the transcoder fetches them."""

from collections.abc import Iterator
from hashlib import sha256
from uuid import UUID

from yarl import URL

from common import layout
from common.address import LONGEST, Address
from common.blobs import Blobs
from common.events import BlobRef, UploadReceived
from common.options import JobOptions
from gateway.acceptance import Acceptance
from gateway.addresses import public_url
from gateway.filenames import sanitise
from gateway.problems import INVALID, Problem
from gateway.visible import visible


class Remote:
    """Takes addresses for jobs; every way in that names one goes through here.

    Parameters
    ----------
    allow_private
        Whether addresses of private networks are taken, for development and tests.
    """

    def __init__(self, *, blobs: Blobs, acceptance: Acceptance, allow_private: bool) -> None:
        self._blobs = blobs
        self._acceptance = acceptance
        self._allow_private = allow_private

    async def receive(
        self, owner: str, job: UUID, url: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        """Store the address; return the event for `gateway.acceptance.Acceptance.accept`.

        Raises
        ------
        Problem
            422 when it is no public web address, or nobody can do what the options ask for. It never quotes the
            address, for there may be a secret in it.
        """
        self._check(url)
        check_visible(options)
        plan = self._acceptance.plan(options)
        address = Address(url=url)
        content = address.model_dump_json().encode()
        digest = sha256(content).hexdigest()
        name = layout.address(owner, job, digest)
        await self._blobs.write(name, content)
        return UploadReceived(
            job_id=job,
            owner=owner,
            lane=options.lane,
            source=BlobRef(name=name),
            filename=sanitise(address.filename),
            sha256=digest,
            options=options,
            plan=plan,
            idempotent=idempotent,
            remote=True,
            address=address.shown,
        )

    def _check(self, url: str) -> None:
        public_url("url", url, allow_private=self._allow_private)
        if len(str(URL(url))) > LONGEST:
            message = f"may have at most {LONGEST} characters when it is percent-encoded"
            raise Problem(INVALID, f"url {message}.", errors=[("url", message)])


def check_visible(options: JobOptions) -> None:
    """Refuse options with characters that cannot be shown, as a form's are; a 422 problem names each."""
    hidden = [name for name, value in options if not all(map(visible, _texts(value)))]
    if hidden:
        errors = [(f"options.{name}", "has characters that cannot be shown") for name in hidden]
        raise Problem(INVALID, f"Not valid: {', '.join(hidden)}.", errors=errors)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from (text for text in value if isinstance(text, str))
