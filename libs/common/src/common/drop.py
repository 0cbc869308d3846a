"""A blob that somebody put beside the platform, to be copied where an upload's bytes would be."""

from pydantic import BaseModel, ConfigDict

DROPPED = ".blob.json"
"""End of the names of blobs that hold a `Drop`; see `common.layout.dropped`."""


class Drop(BaseModel):
    """The blob's whole name. Whether its owner may name it was looked at when the batch was taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blob: str

    @property
    def filename(self) -> str:
        """The last part of its name."""
        return self.blob.rpartition("/")[2]
