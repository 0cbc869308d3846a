"""Settings of the gateway."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from common.options import PluginName
from common.settings import CommonSettings
from gateway.walls.plans import Plans

SHORTEST_SECRET = 16


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
        description="File with Fernet keys, one a line, for what PostgreSQL keeps encrypted; the first encrypts."
    )
    public_url: str | None = Field(
        default=None, description="Where people find the gateway, for links in mails; by default the address here."
    )
    trusted_proxies: str = Field(
        default="",
        description="Networks of proxies, comma-separated, whose X-Forwarded-For and -Proto are believed:"
        " 10.0.0.0/8, say.",
    )
    session_hours: float = Field(default=24.0, gt=0, description="Hours a login lasts after its last activity.")
    refresh_grace_seconds: float = Field(
        default=10.0, ge=0, description="Seconds in which a refresh token just used gets the same answer again."
    )
    reset_minutes: int = Field(default=60, ge=1, description="Minutes the token of a password mail is good.")
    password_checks: int = Field(default=4, ge=1, description="Passwords worked on at once, 19 MiB each.")
    password_salt: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("PASSWORD_SALT", "SCRIBEWIRE_PASSWORD_SALT"),
        description="Salt of imported SHA-256 password hashes; needed only for those.",
    )
    smtp_server: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SMTP_SERVER", "SCRIBEWIRE_SMTP_SERVER"),
        description="Mail server; the notifier sends through it, and without one no mail is sent.",
    )
    confirm_email: bool | None = Field(
        default=None,
        description="Make an account only once a mail to its address was answered; by default wherever mail is sent.",
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
    deferred_backlog: int = Field(
        default=4, ge=1, description="Jobs at work, of anybody, below which a deferred job is let go."
    )
    deferred_margin_seconds: float = Field(
        default=600.0, ge=0, description="Seconds before its deadline at which a deferred job is let go in any case."
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
    plugins: Annotated[tuple[PluginName, ...], NoDecode] = Field(
        default=(), description="Plug-ins of jobs that name none, separated by commas, in the order in which they run."
    )
    fetch_allow_private: bool = Field(
        default=False, description="Take addresses in private networks and on this machine; for development."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses; for development."
    )
    key_pepper: SecretStr | None = Field(
        default=None,
        description="Secret beside the database under which API keys are hashed; 16 characters or more.",
    )
    legacy_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("API_KEY", "SCRIBEWIRE_LEGACY_API_KEY"),
        description="One key, 16 characters or more, that opens jobs and webhooks of an owner named `legacy`.",
    )
    oidc_issuer: str | None = Field(
        default=None, description="`iss` of another issuer's tokens, letter by letter; an https address."
    )
    oidc_audience: str | None = Field(
        default=None, description="`aud` that its tokens must have; needed with an issuer."
    )
    auth0_domain: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AUTH0_DOMAIN", "SCRIBEWIRE_AUTH0_DOMAIN"),
        description="Auth0's domain, such as `example.eu.auth0.com`; short for the issuer `https://DOMAIN/`.",
    )
    auth0_audience: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AUTH0_AUDIENCE", "SCRIBEWIRE_AUTH0_AUDIENCE"),
        description="`aud` that Auth0's tokens must have; needed with a domain.",
    )
    auth0_request_timeout: float = Field(
        default=10.0,
        gt=0,
        validation_alias=AliasChoices("AUTH0_REQUEST_TIMEOUT", "SCRIBEWIRE_OIDC_SECONDS"),
        description="Longest wait for an answer of the issuer, in seconds.",
    )

    @field_validator(
        *("key_pepper", "legacy_api_key", "oidc_issuer", "oidc_audience", "auth0_domain", "auth0_audience"),
        mode="before",
    )
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        # Compose files pass on variables that are not set as empty ones.
        return None if value == "" else value

    @field_validator("key_pepper", "legacy_api_key")
    @classmethod
    def _is_a_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
            msg = f"must have at least {SHORTEST_SECRET} characters"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _issuer_has_audience(self) -> "GatewaySettings":
        if self.issuer is not None and self.audience is None:
            msg = "AUTH0_AUDIENCE or SCRIBEWIRE_OIDC_AUDIENCE is needed: without it tokens made for others would do"
            raise ValueError(msg)
        return self

    @field_validator("smtp_server", "public_url", mode="after")
    @classmethod
    def _empty_is_unset(cls, text: str | None) -> str | None:
        return text or None

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _networks(cls, text: str) -> str:
        for network in filter(None, map(str.strip, text.split(","))):
            ip_network(network)
        return text

    @model_validator(mode="after")
    def _mail_for_confirming(self) -> "GatewaySettings":
        if self.confirm_email and self.smtp_server is None:
            msg = "SCRIBEWIRE_CONFIRM_EMAIL needs SMTP_SERVER"
            raise ValueError(msg)
        return self

    @property
    def issuer(self) -> str | None:
        """The issuer whose tokens are taken beside our own."""
        if self.oidc_issuer is None and self.auth0_domain is not None:
            return f"https://{self.auth0_domain}/"
        return self.oidc_issuer

    @property
    def audience(self) -> str | None:
        """Who those tokens must be for."""
        return self.auth0_audience if self.oidc_issuer is None else self.oidc_audience

    @property
    def trusted_networks(self) -> list[str]:
        """The networks of proxies that are believed."""
        return [network.strip() for network in self.trusted_proxies.split(",") if network.strip()]

    @property
    def base_url(self) -> str:
        """What links in mails begin with."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def confirms_email(self) -> bool:
        """Whether an account waits for the answer to a mail."""
        return self.smtp_server is not None if self.confirm_email is None else self.confirm_email

    @field_validator("plugins", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

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
        default=1.0, gt=0, description="Hours between two looks for what is kept for longer than it is to be."
    )
    audit_days: int = Field(
        default=400, ge=0, le=36_500, description="Days that lines of the audit log are kept; 0 keeps them for ever."
    )

    @property
    def origins(self) -> list[str]:
        """The origins of `cors_origins`."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def max_file_size(self) -> int:
        """Largest upload in bytes."""
        return self.max_file_size_mb * 1024 * 1024

    @property
    def batch_bytes(self) -> int:
        """Largest manifest in bytes."""
        return self.batch_mb * 1024 * 1024
