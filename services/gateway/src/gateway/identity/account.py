"""An account as the rest of the gateway sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Role = Literal["user", "admin"]
Plan = Literal["free", "pro", "enterprise"]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What every request may need of an account; nothing in it is encrypted."""

    id: UUID
    email: str | None
    username: str | None
    role: Role
    plan: Plan
    is_active: bool

    @property
    def owner(self) -> str:
        """The owner of what the account makes."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Person:
    """An account with what its person said of themselves; names are plain text here."""

    account: AccountRow
    first_name: str | None
    last_name: str | None
    company: str | None
    confirmed_at: datetime | None
    password_changed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_login: datetime | None
    has_password: bool
    consents: dict[str, bool]
    """The newest word on each kind of consent."""

    @property
    def standing(self) -> str:
        """Another text after each change of the password or of the address; what was asked for before is void."""
        return f"{self.password_changed_at} {self.confirmed_at} {self.account.email}"
