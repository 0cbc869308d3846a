"""Where a job's bytes are to be fetched from: the address is a secret, so it lies in a blob and travels in no event."""

from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict
from yarl import URL

LONGEST = 2000
"""Characters of an address."""


class Address(BaseModel):
    """An http or https address; it may carry a token, so it is never logged, told in an error or shown as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str

    def __repr__(self) -> str:
        return "Address(...)"

    @property
    def shown(self) -> str:
        """The address for people: without user, query and fragment."""
        return str(URL(self.url).with_user(None).with_query(None).with_fragment(None))

    @property
    def filename(self) -> str | None:
        """The last part of its path, as the client named it; None when it ends in a slash."""
        return unquote(URL(self.url).raw_path.rpartition("/")[2], errors="replace") or None


class Fetched(BaseModel):
    """Which bytes were fetched: their SHA-256 in hexadecimal, which is in their name, and how many."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str
    size: int
