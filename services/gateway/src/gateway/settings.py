"""Settings of the gateway."""

from pathlib import Path

from pydantic import AliasChoices, Field

from common.settings import CommonSettings
from gateway.walls.plans import Plans


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
    segment_seconds: float | None = Field(
        default=None,
        gt=1,
        description="Longest segment for engines whose audio may be cut, to spread work more finely than they ask for.",
    )
    reuse: bool = Field(
        default=True,
        description="Complete a job with the results of an earlier one of the same owner, bytes and options.",
    )
    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses; for development."
    )

    plans: Plans = Field(
        default_factory=dict,
        validate_default=True,
        description='What of the plans is to be other, as JSON: `{"free": {"jobs_per_hour": 20}}`; null is no limit.',
    )
    requests_per_second: float = Field(
        default=100.0,
        ge=0,
        description="Requests a second that one address or one key may make of this gateway, ten times that at once;"
        " 0 for no bound.",
    )
    trusted_proxies: str = Field(
        default="", description="Networks whose X-Forwarded-For and -Proto are believed, comma-separated."
    )
    cors_origins: str = Field(
        default="",
        validation_alias=AliasChoices("CORS_ORIGINS", "ALLOWED_ORIGINS", "SCRIBEWIRE_CORS_ORIGINS"),
        description="Origins of web pages that may call, comma-separated, exact, or `*`; nobody's by default.",
    )
    cors_credentials: bool = Field(default=False, description="Let cookies and the like come along; not with `*`.")
    hsts_seconds: int = Field(
        default=0, ge=0, description="Have browsers use nothing but https for so long; 0 says nothing of it."
    )
    retention_hours: float = Field(
        default=1.0, gt=0, description="Hours between two looks for jobs whose plan's retention is over."
    )

    @property
    def origins(self) -> list[str]:
        """The origins of `cors_origins`."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def max_file_size(self) -> int:
        """Largest upload in bytes."""
        return self.max_file_size_mb * 1024 * 1024
