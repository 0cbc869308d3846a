"""Accounts, logins, keys, usage."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from scribewire.caller import Caller, json_of
from scribewire.flow import Flow, Request
from scribewire.models import Account, Key, NewKey, Registered, Tokens


def registration(
    email: str,
    password: str,
    *,
    username: str | None,
    gdpr_consent: bool,
    data_retention_agreed: bool,
    marketing_consent: bool,
    details: Mapping[str, str],
) -> dict[str, Any]:
    """What makes an account."""
    document: dict[str, Any] = {
        "email": email,
        "password": password,
        "gdpr_consent": gdpr_consent,
        "data_retention_agreed": data_retention_agreed,
        "marketing_consent": marketing_consent,
        **details,
    }
    return document | ({"username": username} if username else {})


def name_in(tokens: Tokens, user: str) -> str:
    """Who logged in, as the gateway calls them; otherwise as they called themselves."""
    profile = tokens.get("user")
    if profile is None:
        return user
    return profile.get("username") or profile.get("email") or user


def register(caller: Caller, document: Mapping[str, Any]) -> Flow[Registered]:
    """Make an account."""
    request = Request(method="POST", path="/auth/register", document=document, repeatable=False, known=False)
    return cast("Registered", json_of((yield from caller.send(request))))


def login(caller: Caller, user: str, password: str) -> Flow[Tokens]:
    """Tokens for a password."""
    document = {"login": user, "password": password}
    request = Request(method="POST", path="/auth/login", document=document, known=False)
    return cast("Tokens", json_of((yield from caller.send(request))))


def logout(caller: Caller, *, everywhere: bool) -> Flow[None]:
    """End the session the request comes from, or every session of the account."""
    yield from caller.send(Request(method="POST", path="/auth/logout-all" if everywhere else "/auth/logout"))


def change_password(caller: Caller, current: str, new: str) -> Flow[None]:
    """Another password; every other session ends."""
    document = {"current_password": current, "new_password": new}
    yield from caller.send(Request(method="POST", path="/auth/change-password", document=document, repeatable=False))


def account(caller: Caller) -> Flow[Account]:
    """Who is calling."""
    return cast("Account", json_of((yield from caller.send(Request(method="GET", path="/v1/account")))))


def export(caller: Caller, into: BinaryIO, *, recordings: bool) -> Flow[None]:
    """Everything of the account as a ZIP."""
    params = {} if recordings else {"recordings": "false"}
    yield from caller.send(Request(method="GET", path="/v1/account/export", params=params, into=into))


def delete_account(caller: Caller, document: Mapping[str, Any] | None) -> Flow[None]:
    """Erase the account and everything of it."""
    # Whoever is erased is nobody the second time.
    request = Request(method="DELETE", path="/v1/account", document=document, done=frozenset({401}))
    yield from caller.send(request)


def usage(caller: Caller) -> Flow[dict[str, Any]]:
    """What was used."""
    return cast("dict[str, Any]", json_of((yield from caller.send(Request(method="GET", path="/v1/usage")))))


def limits(caller: Caller) -> Flow[dict[str, Any]]:
    """What may be used."""
    return cast("dict[str, Any]", json_of((yield from caller.send(Request(method="GET", path="/v1/limits")))))


def create_key(
    caller: Caller,
    name: str,
    scopes: Sequence[str] | None,
    *,
    expires_at: datetime | None,
    expires_in_days: int | None,
) -> Flow[NewKey]:
    """Make a key."""
    document: dict[str, Any] = {"name": name}
    if scopes:
        document["scopes"] = list(scopes)
    if expires_at is not None:
        document["expires_at"] = expires_at.isoformat()
    if expires_in_days is not None:
        document["expires_in_days"] = expires_in_days
    # Not sent again after a cut: nobody would know the key that the lost answer showed.
    request = Request(method="POST", path="/v1/keys", document=document, repeatable=False)
    return cast("NewKey", json_of((yield from caller.send(request))))


def keys(caller: Caller) -> Flow[list[Key]]:
    """Every key that is not revoked."""
    answer = json_of((yield from caller.send(Request(method="GET", path="/v1/keys"))))
    return cast("list[Key]", answer["keys"])


def rotate_key(caller: Caller, key_id: str, grace_seconds: int | None) -> Flow[NewKey]:
    """Replace a key."""
    params = {} if grace_seconds is None else {"grace_seconds": grace_seconds}
    path = f"/v1/keys/{quote(key_id, safe='')}/rotate"
    request = Request(method="POST", path=path, params=params, repeatable=False)
    return cast("NewKey", json_of((yield from caller.send(request))))


def revoke_key(caller: Caller, key_id: str) -> Flow[None]:
    """End a key."""
    yield from caller.send(Request(method="DELETE", path=f"/v1/keys/{quote(key_id, safe='')}"))
