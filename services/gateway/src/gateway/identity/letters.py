"""What people are told by mail: subject and text of each kind; the notifier puts its own mark before the subject."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail: its kind, and what it says."""

    kind: str
    subject: str
    text: str


def reset(base: str, token: str, minutes: int) -> Letter:
    """How to set a new password."""
    return Letter(
        "password_reset",
        "Set a new password",
        f"Somebody, probably you, asked for a new password for your account.\n\n"
        f"Set it here within {minutes} minutes:\n{base}/auth/reset-password?token={quote(token)}\n\n"
        "The link works once. If it was not you, do nothing: your password stays as it is.\n",
    )


def password_changed() -> Letter:
    """That the password is another one."""
    return Letter(
        "password_changed",
        "Your password was changed",
        "The password of your account was changed just now, and other devices were logged out.\n\n"
        "If it was not you, set a new one at once with “forgot password”, and tell the operator.\n",
    )


def welcome(base: str, token: str, hours: int) -> Letter:
    """How to finish registering."""
    return Letter(
        "confirm_registration",
        "Confirm your e-mail address",
        f"Somebody, probably you, registered with this address.\n\n"
        f"Finish it here within {hours} hours:\n{base}/auth/confirm?token={quote(token)}\n\n"
        "If it was not you, do nothing: no account is made.\n",
    )


def already_there(base: str) -> Letter:
    """That there is an account already."""
    return Letter(
        "already_registered",
        "You have an account already",
        f"Somebody, probably you, wanted to use this address for a new account. There is one already.\n\n"
        f"Log in with it; with “forgot password” at {base}/auth/forgot-password you get a new one.\n\n"
        "If it was not you, do nothing: nobody was told that you have an account.\n",
    )


def new_address(base: str, token: str, hours: int) -> Letter:
    """How to confirm another address."""
    return Letter(
        "confirm_address",
        "Confirm your new e-mail address",
        f"Your account is to have this address.\n\nConfirm it here within {hours} hours:\n"
        f"{base}/auth/confirm?token={quote(token)}\n\nIf it was not you, do nothing.\n",
    )


def address_asked(base: str, masked: str, hours: int) -> Letter:
    """That somebody wants the account to have another address."""
    return Letter(
        "address_asked",
        "Your e-mail address is to be changed",
        f"Somebody, probably you, asked for your account to have the address {masked}. It does as soon as the mail "
        f"sent there is answered, within {hours} hours.\n\n"
        f"If it was not you, set a new password at once at {base}/auth/forgot-password: then it cannot be answered "
        "any more.\n",
    )


def address_changed(masked: str) -> Letter:
    """That the account has another address now."""
    return Letter(
        "address_changed",
        "Your e-mail address was changed",
        f"The e-mail address of your account is now {masked}; this one is not used any more.\n\n"
        "If it was not you, tell the operator at once.\n",
    )


def masked(email: str) -> str:
    """An address that its owner recognises and others do not learn."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}…@{domain}"
