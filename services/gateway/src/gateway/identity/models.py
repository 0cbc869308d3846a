"""What the addresses of accounts take and answer."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.callers import canonical
from gateway.identity import rules
from gateway.identity.account import Person, Plan, Role


class _Body(BaseModel):
    """What is taken as JSON: an unknown field is refused, and `"true"` is a text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Query(BaseModel):
    """What is taken in the address: an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")


def _name(text: str | None) -> str | None:
    return rules.plain(text, rules.LONGEST_NAME)


def _company(text: str | None) -> str | None:
    return rules.plain(text, rules.LONGEST_COMPANY)


Email = Annotated[str, Field(max_length=320, examples=["ann@example.org"]), AfterValidator(rules.email)]
Username = Annotated[str, Field(max_length=200, examples=["ann.lee"]), AfterValidator(rules.username)]
NewPassword = Annotated[
    str,
    Field(description="8 to 256 characters with an upper-case letter, a lower-case one and a digit."),
    AfterValidator(rules.password),
]
Password = Annotated[str, Field(max_length=rules.LONGEST_PASSWORD)]
Name = Annotated[str | None, Field(max_length=1000), AfterValidator(_name)]
Company = Annotated[str | None, Field(max_length=1000), AfterValidator(_company)]


def _agreed(given: bool) -> bool:
    if not given:
        msg = "must be true: without it nothing may be kept of you"
        raise ValueError(msg)
    return given


def _near(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 9000:
        msg = "must be between the years 1970 and 9000"
        raise ValueError(msg)
    return moment


def _written(moment: object) -> object:
    # A number would be taken for seconds since 1970, which nobody means by 2026.
    if isinstance(moment, str) and not re.match(r"\d{4}-\d\d-\d\dT", moment):
        msg = "must be a time such as 2026-01-31T12:00:00Z"
        raise ValueError(msg)
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_near)]


def _flag(given: object) -> object:
    if isinstance(given, str) and given not in {"true", "false"}:
        msg = "must be true or false"
        raise ValueError(msg)
    return given


Flag = Annotated[bool, BeforeValidator(_flag)]
Agreed = Annotated[bool, Field(json_schema_extra={"const": True}), AfterValidator(_agreed)]


def _given(given: bool) -> bool:
    if not given:
        msg = "cannot be taken back while the account is kept; DELETE /v1/account ends it and erases everything"
        raise ValueError(msg)
    return given


Given = Annotated[bool, Field(json_schema_extra={"const": True}), AfterValidator(_given)]
Login = Annotated[str, Field(min_length=1, max_length=320)]
Token = Annotated[str, Field(min_length=1, max_length=8000)]


class Registration(_Body):
    """A person who wants an account."""

    email: Email
    username: Username | None = Field(default=None, description="To log in with beside the address.")
    password: NewPassword
    first_name: Name = None
    last_name: Name = None
    company: Company = None
    gdpr_consent: Agreed
    data_retention_agreed: Agreed
    marketing_consent: bool = False


class LoginBody(_Body):
    """Who wants to come in: one of `login`, `email` and `username`, and the password."""

    login: Login | None = Field(default=None, description="E-mail address or user name.")
    email: Login | None = None
    username: Login | None = None
    password: Password

    @model_validator(mode="after")
    def _one(self) -> "LoginBody":
        if sum(given is not None for given in (self.login, self.email, self.username)) != 1:
            msg = "give one of login, email and username"
            raise ValueError(msg)
        return self

    @property
    def who(self) -> str:
        """What was given as the name."""
        return self.login or self.email or self.username or ""


class RefreshBody(_Body):
    """A refresh token to exchange."""

    refresh_token: Token


class ChangePassword(_Body):
    """The old password and the new one."""

    current_password: Password
    new_password: NewPassword


class ForgotPassword(_Body):
    """Whose password is lost."""

    email: Email


class ResetPassword(_Body):
    """The token of the mail and the new password."""

    token: Token
    password: NewPassword


class ConfirmEmail(_Body):
    """The token of the mail."""

    token: Token


class ProfileChange(_Body):
    """What to change of one's own account; what is not named stays, `null` empties it where that is possible."""

    email: Email | None = Field(default=None, description="Needs `current_password` where there is one.")
    current_password: Password | None = None
    username: Username | None = None
    first_name: Name = None
    last_name: Name = None
    company: Company = None
    gdpr_consent: Given | None = Field(
        default=None, description="true agrees; it is taken back by deleting the account, and not here."
    )
    data_retention_agreed: Given | None = Field(default=None, description="Likewise.")
    marketing_consent: bool | None = None


class AccountChange(_Body):
    """What an admin may change of an account."""

    role: Role | None = None
    plan: Plan | None = None
    is_active: bool | None = Field(default=None, description="false ends every session and lets nobody in.")


class Consents(BaseModel):
    """What the person agreed to; every word on it is kept with its time."""

    gdpr_consent: bool
    data_retention_agreed: bool
    marketing_consent: bool


class Profile(BaseModel):
    """An account as its person sees it."""

    id: UUID
    email: str | None
    username: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    role: Role
    plan: Plan
    is_active: bool
    email_confirmed: bool = Field(description="Whether a mail to the address was answered.")
    has_password: bool = Field(description="false for an account that only comes in through another issuer.")
    created_at: AwareDatetime
    updated_at: AwareDatetime
    last_login: AwareDatetime | None
    consents: Consents

    @classmethod
    def of(cls, person: Person) -> "Profile":
        """The profile of a person."""
        account = person.account
        return cls(
            **{name: getattr(account, name) for name in ("id", "email", "username", "role", "plan", "is_active")},
            **{name: getattr(person, name) for name in ("first_name", "last_name", "company", "has_password")},
            **{name: getattr(person, name) for name in ("created_at", "updated_at", "last_login")},
            email_confirmed=person.confirmed_at is not None,
            consents=Consents(**person.consents),
        )


class UserInfo(BaseModel):
    """The person in OpenID Connect's words."""

    sub: str
    email: str | None
    email_verified: bool
    name: str | None
    given_name: str | None
    family_name: str | None
    preferred_username: str | None
    updated_at: int = Field(description="Seconds since 1970.")

    @classmethod
    def of(cls, person: Person) -> "UserInfo":
        """The claims of a person."""
        names = [name for name in (person.first_name, person.last_name) if name]
        return cls(
            sub=str(person.account.id),
            email=person.account.email,
            email_verified=person.confirmed_at is not None,
            name=" ".join(names) or None,
            given_name=person.first_name,
            family_name=person.last_name,
            preferred_username=person.account.username,
            updated_at=int(person.updated_at.timestamp()),
        )


class Tokens(BaseModel):
    """What to send with every request, and what to get the next one with."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    refresh_token: str = Field(description="Good for one exchange at `/v1/auth/refresh`.")
    expires_in: int = Field(description="Seconds the access token is valid.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    user: Profile


class Said(BaseModel):
    """What was done, for a person."""

    status: Literal["done", "mail_sent"]
    detail: str


class PeopleQuery(_Query):
    """Which accounts to list."""

    limit: int = Field(default=50, ge=1, le=100, description="Accounts on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    login: str | None = Field(default=None, max_length=320, description="Only who has this address or user name.")
    role: Role | None = Field(default=None, description="Only this role.")
    is_active: Flag | None = Field(default=None, description="Only those switched on, or off.")


class People(BaseModel):
    """Accounts, newest first."""

    accounts: list[Profile]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


def _address(text: str) -> str:
    if (read := canonical(text)) is None:
        msg = "must be an IP address, such as 192.0.2.1 or 2001:db8::1"
        raise ValueError(msg)
    return read


Address = Annotated[str, AfterValidator(_address)]


class AuditQuery(_Query):
    """Which lines of the audit log to list."""

    limit: int = Field(default=100, ge=1, le=500, description="Lines on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    actor: str | None = Field(default=None, max_length=100, description="Only what this owner did.")
    account: str | None = Field(
        default=None, max_length=100, description="Only what this owner did, and what others did with the account."
    )
    ip: Address | None = Field(default=None, max_length=100, description="Only what came from this IP address.")
    action: str | None = Field(
        default=None, max_length=100, description="Only this action, such as `login.failed`; `login` is every login."
    )
    since: Moment | None = Field(default=None, description="Only lines from then on.")
    until: Moment | None = Field(default=None, description="Only lines before.")


class AuditLine(BaseModel):
    """Who did what, when and from where."""

    id: UUID
    at: AwareDatetime
    actor: str | None = Field(description="An owner; null for a stranger.")
    action: str
    ip: str | None
    user_agent: str | None
    details: dict[str, Any]


class AuditPage(BaseModel):
    """Lines of the audit log, newest first."""

    lines: list[AuditLine]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")
