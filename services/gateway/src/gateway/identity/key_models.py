"""API keys and stream tokens as JSON."""

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

KeyScope = Literal["jobs:read", "jobs:write", "webhooks", "keys", "account", "admin"]

USUAL_SCOPES: tuple[KeyScope, ...] = ("jobs:read", "jobs:write", "webhooks")

MOST_DAYS = 3650


def _written(moment: object) -> object:
    # A number would be taken for seconds since 1970, which nobody means by 2026.
    if not isinstance(moment, str) or not re.match(r"\d{4}-\d\d-\d\dT", moment):
        msg = "must be a time such as 2026-01-31T12:00:00Z"
        raise ValueError(msg)
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]


class NewApiKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What it is for; you see it in the list.")
    scopes: tuple[KeyScope, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=6,
        description="What it may do, at most what you may; `jobs:read`, `jobs:write` and `webhooks` by default.",
    )
    expires_at: Moment | None = Field(default=None, description="When it ends; never by default.")
    expires_in_days: int | None = Field(
        default=None, strict=True, ge=1, le=MOST_DAYS, description="Or how many days from now it ends."
    )


class RotateQuery(BaseModel):
    """How to rotate."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: int = Field(
        default=24 * 3600,
        ge=0,
        le=30 * 24 * 3600,
        description="How long the old key stays valid beside the new one.",
    )


class ApiKey(BaseModel):
    """A key without its secret."""

    id: UUID
    prefix: str = Field(description="How the key begins.")
    name: str
    scopes: list[KeyScope]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="A few seconds behind.")
    uses: int = Field(default=0, description="Requests it let in; a few seconds behind.")
    rotated_to: UUID | None = Field(default=None, description="The key that takes its place.")


class ApiKeyCreated(ApiKey):
    """A new key with its secret, which is shown this once."""

    key: str = Field(description="The whole key, `sw_…`.")


class ApiKeyRotated(ApiKeyCreated):
    """A new key that takes the place of an old one."""

    rotated_from: UUID
    old_expires_at: datetime = Field(description="Until when the old key is valid.")


class ApiKeyList(BaseModel):
    """Every key that was not revoked, newest first."""

    keys: list[ApiKey]


class NewStreamToken(BaseModel):
    """A stream token to make."""

    model_config = ConfigDict(extra="forbid")

    seconds: int = Field(default=60, strict=True, ge=1, le=600, description="How long it opens streams.")


class StreamToken(BaseModel):
    """A token for `access_token` in the address of an event stream."""

    token: str
    expires_in: int = Field(description="Seconds.")
    expires_at: datetime
