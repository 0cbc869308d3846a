"""docker-compose.yml, the Dockerfile and what they mount, checked as far as that goes without an engine."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from common import settings as common_settings
from scribewire_local.parts import SERVICES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCUMENTED = {
    name
    for row in re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    for name in re.findall(r"`([A-Z0-9_]+)`", row)
} | {"DEEPGRAM_BASE_URL", "OPENAI_BASE_URL"}
WITH_ENGINES = {"gateway", "transcriber", "translator"}
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def fields(service: str) -> list[tuple[set[str], FieldInfo]]:
    """The settings of a service that it can be given, each with the environment variables that it is read from."""
    modules = [common_settings, importlib.import_module(f"{service}.settings")]
    classes = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseSettings)
    ]
    found = []
    for cls in classes:
        if cls is common_settings.ProviderSettings and service not in WITH_ENGINES:
            continue
        prefix = str(cls.model_config.get("env_prefix", ""))
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias or f"{prefix}{name}"]
            found.append(({str(choice).upper() for choice in choices}, field))
    return found


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in COMPOSE["services"].items() if name in SERVICES}


def test_every_service_of_the_workspace_is_there() -> None:
    rooms = {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")}
    assert rooms == set(SERVICES) == set(ours())
    for name, service in ours().items():
        assert service["build"]["args"]["PACKAGE"] == name


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_one_the_service_reads(service: str) -> None:
    known = {name for names, _ in fields(service) for name in names}
    assert set(ours()[service]["environment"]) - known == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_the_readme_reaches_who_reads_it(service: str) -> None:
    environment = set(ours()[service]["environment"])
    told = [names for names, _ in fields(service) if names & DOCUMENTED]
    assert told
    assert [names for names in told if not names & environment] == []


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_not_set_is_as_without_compose(service: str) -> None:
    environment = ours()[service]["environment"]
    differing = {}
    for names, field in fields(service):
        for name in names & set(environment):
            default = re.fullmatch(r"\$\{\w+:-([^$]+)\}", environment[name] or "")
            if default and TypeAdapter[Any](field.annotation or str).validate_python(default[1]) != field.default:
                differing[name] = default[1]
    assert differing == {}


def test_everything_published_is_on_loopback() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_no_secret_has_a_value_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secret = re.compile(r"^\s*\w*(?:PASSWORD|_KEY|SECRET)\w*:[ \t]*(?P<value>\S.*)$", re.MULTILINE)
    values = [found["value"] for found in secret.finditer(text)]
    assert values
    assert [value for value in values if not value.startswith(("${", "/run/secrets/"))] == []


def test_services_have_no_rights_they_do_not_need() -> None:
    for service in ours().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]


def test_services_start_after_topics_and_tables_and_are_watched() -> None:
    for service in ours().values():
        for once in ("topics", "migrate"):
            assert service["depends_on"][once]["condition"] == "service_completed_successfully"
        assert "/readyz" in service["healthcheck"]["test"][-1]
    for name in ("kafka", "postgres", "azurite", "prometheus", "grafana"):
        assert "healthcheck" in COMPOSE["services"][name]


def test_what_is_mounted_and_depended_on_exists() -> None:
    volumes, services = set(COMPOSE["volumes"]), set(COMPOSE["services"])
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (ROOT / source).exists(), source
        assert set(service.get("depends_on", {})) <= services
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_the_dockerfile_copies_what_is_there_and_ends_unprivileged() -> None:
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert sources
    for service in SERVICES:
        for source in sources:
            assert (ROOT / source.replace("${PACKAGE}", service)).exists(), source
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1] != "0"
    assert "-c requirements.lock" in DOCKERFILE


def test_the_ignore_file_lets_through_what_is_copied() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE):
        assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source


def test_prometheus_watches_every_service() -> None:
    config = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())
    targets = {
        target.split(":")[0]
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert targets == set(SERVICES)
