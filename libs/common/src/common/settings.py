"""Settings every service has; each is read from the environment, then from `.env`."""

from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.db.address import is_exposed


class CommonSettings(BaseSettings):
    """Where the parts are and how this process works; a service's own settings inherit from this."""

    # An error about one setting must not quote the others: some hold passwords.
    model_config = SettingsConfigDict(
        env_prefix="SCRIBEWIRE_",
        env_file=".env",
        extra="ignore",
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    kafka: str = Field(default="127.0.0.1:9092", description="Kafka bootstrap servers, comma-separated.")
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://scribewire@127.0.0.1:5432/scribewire"),
        validation_alias=AliasChoices("DATABASE_URL", "SCRIBEWIRE_DATABASE_URL"),
        description="PostgreSQL address; on another machine with `sslmode=require`, `verify-ca` or `verify-full`.",
    )
    database_plaintext: bool = Field(
        default=False, description="Go to PostgreSQL on another machine without TLS, in a network nobody else is in."
    )
    blobs: str = Field(default="file:///var/lib/scribewire/blobs", description="`file:///folder` or `azure`.")
    azure_blob_connection: SecretStr | None = Field(
        default=None, validation_alias="AZURE_BLOB_CONNECTION", description="Connection string when blobs is `azure`."
    )
    azure_container: str = Field(
        default="scribewire", validation_alias="AZURE_CONTAINER", description="Container when blobs is `azure`."
    )
    health_host: str = Field(
        default="127.0.0.1",
        description="Address of /healthz, /readyz and /metrics; loopback unless a probe elsewhere asks.",
    )
    health_port: int = Field(default=0, description="Port of /healthz, /readyz and /metrics; 0 takes a free one.")
    concurrency: int | None = Field(default=None, ge=1, description="Handlers at once; each service has a default.")
    lease_ttl: float = Field(default=20.0, gt=0, description="Seconds after which a silent holder's lease lapses.")
    drain_seconds: float = Field(default=20.0, gt=0, description="Seconds SIGTERM lets running handlers finish.")
    retry_delays: tuple[float, float, float] = Field(
        default=(10.0, 60.0, 600.0), description="Seconds of the three retry topics, short to long."
    )
    retry_limit: int = Field(default=8, ge=1, description="Deliveries after which an event is a dead letter.")
    plugin_seconds: float = Field(
        default=60.0, gt=0, description="Seconds a job's plug-ins may take for a minute of audio, a text, or to start."
    )
    log_level: str = Field(
        default="INFO", validation_alias=AliasChoices("LOG_LEVEL", "SCRIBEWIRE_LOG_LEVEL"), description="Log level."
    )

    @model_validator(mode="after")
    def _database_is_not_exposed(self) -> Self:
        if not self.database_plaintext and is_exposed(self.database_url.get_secret_value()):
            msg = (
                "DATABASE_URL leads to another machine without TLS: add sslmode=verify-full (or verify-ca, require), "
                "or set SCRIBEWIRE_DATABASE_PLAINTEXT=true where nobody else is in the network between"
            )
            raise ValueError(msg)
        return self


class ProviderSettings(BaseSettings):
    """Keys and addresses of providers; a provider whose key is set counts as configured."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, frozen=True, hide_input_in_errors=True
    )

    deepgram_api_key: SecretStr | None = Field(default=None, description="Deepgram's key.")
    deepgram_base_url: str = Field(default="https://api.deepgram.com", description="Deepgram's address.")
    openai_api_key: SecretStr | None = Field(default=None, description="OpenAI's key.")
    openai_base_url: str = Field(default="https://api.openai.com/v1", description="OpenAI's address.")
