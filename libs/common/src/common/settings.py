"""Settings every service has; each is read from the environment, then from `.env`."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
        description="PostgreSQL address.",
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


class ProviderSettings(BaseSettings):
    """Keys and addresses of providers; a provider whose key is set counts as configured."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, frozen=True, hide_input_in_errors=True
    )

    deepgram_api_key: SecretStr | None = Field(default=None, description="Deepgram's key.")
    deepgram_base_url: str = Field(default="https://api.deepgram.com", description="Deepgram's address.")
    openai_api_key: SecretStr | None = Field(default=None, description="OpenAI's key.")
    openai_base_url: str = Field(default="https://api.openai.com/v1", description="OpenAI's address.")
