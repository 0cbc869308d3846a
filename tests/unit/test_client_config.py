"""The client finds the gateway from the environment or from the platform on this machine."""

import json

import pytest

from scribewire.config import Gateway, discover
from scribewire.errors import NotConfigured, Problem


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("SCRIBEWIRE_URL", "SCRIBEWIRE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCRIBEWIRE_HOME", str(tmp_path))


def test_the_running_platform_is_found(tmp_path):
    key_file = tmp_path / "operator.key"
    key_file.write_text("sw_secret\n")
    state = {"gateway": {"url": "http://127.0.0.1:1/", "key_file": str(key_file)}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert discover() == Gateway("http://127.0.0.1:1", "sw_secret")
    assert "secret" not in repr(discover())


def test_the_environment_comes_first(monkeypatch):
    monkeypatch.setenv("SCRIBEWIRE_URL", "http://example.test/")
    monkeypatch.setenv("SCRIBEWIRE_API_KEY", "k")
    assert discover() == Gateway("http://example.test", "k")


def test_the_local_key_is_not_sent_elsewhere(monkeypatch, tmp_path):
    (tmp_path / "operator.key").write_text("sw_secret\n")
    state = {"gateway": {"url": "http://127.0.0.1:1/", "key_file": str(tmp_path / "operator.key")}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("SCRIBEWIRE_URL", "http://example.test/")
    with pytest.raises(NotConfigured, match="SCRIBEWIRE_API_KEY is not set"):
        discover()


@pytest.mark.parametrize("state", [None, "", "[]", "{}", '{"gateway": {"url": "http://127.0.0.1:1"}}'])
def test_nothing_usable_says_what_to_do(tmp_path, state):
    if state is not None:
        (tmp_path / "state.json").write_text(state)
    with pytest.raises(NotConfigured, match="scribewire up"):
        discover()


def test_a_problem_names_its_fields_and_its_exit_code():
    document = {"title": "Invalid options", "errors": [{"field": "language", "message": "unknown"}]}
    problem = Problem(422, document)
    assert (str(problem), problem.exit_code) == ("Invalid options (language: unknown)", 2)
    assert Problem(401, {}).exit_code == 3
