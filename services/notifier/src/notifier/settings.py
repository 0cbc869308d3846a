"""Settings of the notifier."""

from pathlib import Path

from pydantic import Field, SecretStr

from common.settings import CommonSettings


class NotifierSettings(CommonSettings):
    """How webhooks are signed, sent and tried again."""

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="`whsec_…` that signs what goes to a job's callback_url; by default made from the operator's key.",
    )
    operator_key_file: Path | None = Field(
        default=None, description="File with the operator's key; needed when no webhook secret is set."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses; for development."
    )
    webhook_seconds: float = Field(default=15.0, gt=0, description="Longest wait for a receiver's answer.")
    webhook_time_scale: float = Field(
        default=1.0, gt=0, le=1, description="Factor on every wait between attempts; below 1 only in tests."
    )
    webhook_poll_seconds: float = Field(default=1.0, gt=0, description="Pause between looks for due deliveries.")

    @property
    def slots(self) -> int:
        """Deliveries under way at once."""
        return self.concurrency or 160
