"""Settings that do not go together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings


def settings(**values: object) -> GatewaySettings:
    needed: dict[str, Any] = {"operator_key_file": Path("key"), "encryption_keys_file": Path("keys"), "_env_file": None}
    return GatewaySettings(**(needed | values))


@pytest.mark.parametrize("url", [None, ""])
def test_mail_needs_an_address_that_its_links_lead_to(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    monkeypatch.delenv("SCRIBEWIRE_PUBLIC_URL", raising=False)
    with pytest.raises(ValidationError, match="SCRIBEWIRE_PUBLIC_URL is needed with SMTP_SERVER"):
        settings(smtp_server="mail.example.org", public_url=url)
    assert settings(smtp_server="", public_url=url).smtp_server is None
    there = settings(smtp_server="mail.example.org", public_url="https://scribewire.example.org/")
    assert there.base_url == "https://scribewire.example.org"
