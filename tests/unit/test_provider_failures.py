"""What a provider's answer stands for, and what of it people are told."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from common.errors import Permanent, Transient
from common.providers.failures import refused
from common.retry_after import LONGEST, retry_after


@pytest.mark.parametrize(
    ("status", "spent", "kind", "code"),
    [
        (400, False, Permanent, "provider_refused"),
        (401, False, Transient, "provider_auth"),
        (402, False, Transient, "provider_quota"),
        (403, False, Transient, "provider_auth"),
        (408, False, Transient, "provider_unavailable"),
        (413, False, Permanent, "too_long_for_us"),
        (429, False, Transient, "provider_busy"),
        (429, True, Transient, "provider_quota"),
        (503, False, Transient, "provider_unavailable"),
    ],
)
def test_a_status_has_its_word(status: int, spent: bool, kind: type[Exception], code: str) -> None:
    failure = refused("Acme", status, {}, spent=spent, codes={413: "too_long_for_us"})
    assert type(failure) is kind
    assert getattr(failure, "code", None) == code


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-0123456789", "sk-ab***********wxyz", "org-Ab12Cd34", "0123456789abcdef0123456789abcdef01234567"],
)
def test_keys_and_accounts_are_never_told(secret: str) -> None:
    said = f"The model does not exist for {secret}. Choose another."
    for status in (400, 401, 402, 404, 429, 500):
        assert secret not in str(refused("Acme", status, {}, said=said))
    assert "does not exist" in str(refused("Acme", 404, {}, said=said))
    assert "does not exist" not in str(refused("Acme", 500, {}, said=said)), "no help to who sent the file"


def test_retry_after_is_handed_on_whatever_the_header_is_called() -> None:
    failure = refused("Acme", 503, {"RETRY-AFTER": "12.5"})
    assert isinstance(failure, Transient)
    assert failure.retry_after == 12.5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("12.5", 12.5),
        ("-3", 0.0),
        ("inf", LONGEST),
        ("9" * 400, LONGEST),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        ("Fri, 31 Dec 9999 23:59:59 -0000", LONGEST),
        ("Fri, 99 Foo 9999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_more_than_a_day(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_a_date_counts_from_now() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after(header) == pytest.approx(90, abs=5)
