"""What `scribewire up` reads from the environment, then from `.env`."""

import os
import re
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SCALABLE = ("transcoder", "transcriber", "translator", "recorder", "notifier")
"""Services of which there may be several on one machine; the gateway has one port."""


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "scribewire"


class LocalSettings(BaseSettings):
    """Where the data lies, which port the gateway takes, and which parts are real ones elsewhere."""

    model_config = SettingsConfigDict(
        env_prefix="SCRIBEWIRE_",
        env_file=".env",
        extra="ignore",
        populate_by_name=True,
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default_factory=_default_home, description="The data folder.")
    port: int = Field(
        default=8080,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("SCRIBEWIRE_PORT", "PORT"),
        description="The gateway's port.",
    )
    kafka: str | None = Field(default=None, description="Kafka elsewhere; unset, one is run here.")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "SCRIBEWIRE_DATABASE_URL"),
        description="PostgreSQL elsewhere; unset, one is run here.",
    )
    blobs: str | None = Field(default=None, description="Blob store; unset, a folder in the home.")
    operator_key_file: Path | None = Field(default=None, description="The operator key; unset, one in the home.")
    encryption_keys_file: Path | None = Field(
        default=None, description="Fernet keys for what PostgreSQL keeps encrypted; unset, a file in the home."
    )
    smtp_server: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SMTP_SERVER", "SCRIBEWIRE_SMTP_SERVER"),
        description="Mail server; the services read this too.",
    )
    public_url: str | None = Field(
        default=None,
        description="Where people find the gateway; unset, links in mails lead to its address on this machine.",
    )
    replicas: str = Field(default="", description="How many of a service to run, as in `transcriber=2,transcoder=2`.")

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("replicas", mode="after")
    @classmethod
    def _well_formed(cls, replicas: str) -> str:
        item = rf"\s*({'|'.join(SCALABLE)})\s*=\s*[1-9]\d?\s*"
        if replicas and not re.fullmatch(f"{item}(,{item})*", replicas):
            msg = f"must look like transcriber=2,transcoder=2, of {', '.join(SCALABLE)}"
            raise ValueError(msg)
        return replicas

    def count(self, service: str) -> int:
        """How many processes of a service to run."""
        for item in filter(None, self.replicas.split(",")):
            name, _, number = item.partition("=")
            if name.strip() == service:
                return int(number)
        return 1
