"""The recorder's settings."""

from pydantic import Field

from common.settings import CommonSettings


class Settings(CommonSettings):
    """What the recorder needs beyond what every service has."""

    batch: int = Field(default=500, ge=1, description="Most events in one transaction.")
    migrate_wait: float = Field(default=60.0, gt=0, description="Seconds `migrate` waits for PostgreSQL to answer.")
