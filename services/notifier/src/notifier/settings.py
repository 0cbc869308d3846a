"""Settings of the notifier."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from common.settings import CommonSettings


class SigningSettings(CommonSettings):
    """How webhooks are signed that have no secret of their own."""

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="`whsec_…` that signs what goes to a job's callback_url; by default made from the operator's key.",
    )
    operator_key_file: Path | None = Field(
        default=None, description="File with the operator's key; needed when no webhook secret is set."
    )


class NotifierSettings(SigningSettings):
    """How webhooks are signed, sent and tried again, and how mail is sent."""

    encryption_keys_file: Path = Field(
        description="File with the Fernet keys that the gateway has: webhook secrets and mails wait encrypted."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses; for development."
    )
    webhook_seconds: float = Field(default=15.0, gt=0, description="Longest wait for a receiver's answer.")
    webhook_time_scale: float = Field(
        default=1.0, gt=0, le=1, description="Factor on every wait between attempts; below 1 only in tests."
    )
    webhook_poll_seconds: float = Field(default=1.0, gt=0, description="Pause between looks for due deliveries.")

    smtp_server: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SMTP_SERVER", "SCRIBEWIRE_SMTP_SERVER"),
        description="Mail server; unset, no mail is sent.",
    )
    smtp_port: int = Field(
        default=587,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("SMTP_PORT", "SCRIBEWIRE_SMTP_PORT"),
        description="Its port.",
    )
    smtp_user: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SMTP_USER", "SCRIBEWIRE_SMTP_USER"),
        description="User there; the sender of mails unless that is set.",
    )
    smtp_pass: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("SMTP_PASS", "SCRIBEWIRE_SMTP_PASS"),
        description="Password there; sent over TLS only.",
    )
    smtp_security: Literal["starttls", "tls", "offered"] | None = Field(
        default=None,
        description="`starttls`, or nothing is sent; `tls` from the first byte; `offered`: STARTTLS where the server "
        "has it. By default `tls` at port 465, `offered` at port 25 and on this machine, `starttls` elsewhere.",
    )
    mail_sender: str | None = Field(default=None, description="Address that mails come from; by default SMTP_USER.")
    smtp_seconds: float = Field(default=20.0, gt=0, description="Longest wait for each answer of the mail server.")

    @field_validator("smtp_server", "smtp_user", "smtp_pass", "mail_sender", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _mail_is_whole(self) -> "NotifierSettings":
        if self.smtp_server is None:
            return self
        if "@" not in self.sender:
            msg = "SCRIBEWIRE_MAIL_SENDER is needed with SMTP_SERVER where SMTP_USER is no address"
            raise ValueError(msg)
        return self

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        return self.mail_sender or self.smtp_user or ""

    @property
    def security(self) -> Literal["starttls", "tls", "offered"]:
        """How mails are kept from being read on their way to the server."""
        if self.smtp_security is not None:
            return self.smtp_security
        if self.smtp_port == 465:
            return "tls"
        near = self.smtp_port == 25 or self.smtp_server in {"localhost", "127.0.0.1", "::1"}
        return "offered" if near else "starttls"

    @property
    def slots(self) -> int:
        """Deliveries under way at once."""
        return self.concurrency or 160
