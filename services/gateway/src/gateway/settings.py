"""Settings of the gateway."""

from pathlib import Path

from pydantic import AliasChoices, Field

from common.settings import CommonSettings


class GatewaySettings(CommonSettings):
    """Where the gateway listens, who may come in, and how much it takes."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    port: int = Field(
        default=8080,
        ge=0,
        validation_alias=AliasChoices("SCRIBEWIRE_PORT", "PORT"),
        description="Port; 0 takes a free one.",
    )
    operator_key_file: Path = Field(description="File with the operator's key; the gateway does not start without it.")
    encryption_keys_file: Path = Field(
        description="File with Fernet keys, one a line, newest first, for what PostgreSQL keeps encrypted."
    )
    max_file_size_mb: int = Field(
        default=500,
        ge=1,
        validation_alias=AliasChoices("MAX_FILE_SIZE_MB", "SCRIBEWIRE_MAX_FILE_SIZE_MB"),
        description="Largest upload, in units of 1,048,576 bytes.",
    )
    upload_stall_seconds: float = Field(default=60.0, gt=0, description="Silence after which an upload is given up.")
    idle_seconds: float = Field(
        default=75.0, gt=0, description="Longest wait for the whole head of a request, also of the next one."
    )
    publish_seconds: float = Field(default=10.0, gt=0, description="Longest wait for Kafka to acknowledge an event.")
    store_seconds: float = Field(default=3.0, gt=0, description="Longest wait for an answer of PostgreSQL.")
    delete_seconds: float = Field(default=5.0, gt=0, description="Longest wait of DELETE for the erasure to be done.")
    heartbeat_seconds: float = Field(default=15.0, gt=0, description="Pause between heartbeats of an event stream.")
    orphan_hours: float = Field(default=24.0, gt=0, description="Hours that bytes without a job are kept.")
    upload_hours: float = Field(
        default=24.0,
        gt=0,
        le=144,
        description="Hours after its last byte that half an upload is kept; Azure forgets it within seven days.",
    )
    batch_items: int = Field(default=100_000, ge=1, description="Most items of a batch.")
    batch_mb: int = Field(default=256, ge=1, description="Largest manifest, in units of 1,048,576 bytes.")
    batch_outstanding: int = Field(
        default=64, ge=1, description="Jobs of batches that an owner has at work at once; the others wait their turn."
    )
    batch_poll_seconds: float = Field(
        default=5.0, gt=0, description="Longest pause before waiting items are looked at."
    )
    batch_claim_seconds: float = Field(
        default=30.0, gt=0, description="Seconds after which items that a gateway was about to release are another's."
    )
    segment_seconds: float | None = Field(
        default=None,
        gt=1,
        description="Longest segment for engines whose audio may be cut, to spread work more finely than they ask for.",
    )
    reuse: bool = Field(
        default=True,
        description="Complete a job with the results of an earlier one of the same owner, bytes and options.",
    )
    fetch_allow_private: bool = Field(
        default=False, description="Take addresses in private networks and on this machine; for development."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses; for development."
    )

    @property
    def max_file_size(self) -> int:
        """Largest upload in bytes."""
        return self.max_file_size_mb * 1024 * 1024

    @property
    def batch_bytes(self) -> int:
        """Largest manifest in bytes."""
        return self.batch_mb * 1024 * 1024
