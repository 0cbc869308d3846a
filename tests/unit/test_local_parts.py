"""Which parts run, where, and what they are told."""

import os
import sys
from pathlib import Path

import pytest

from scribewire_local.home import Home
from scribewire_local.keeper import Backoff
from scribewire_local.parts import SERVICES, NotRunning, assemble, environment
from scribewire_local.ports import free_port, is_free
from scribewire_local.process import start_time
from scribewire_local.settings import LocalSettings
from scribewire_local.state import GatewayAddress, PartStatus, State

NAMES = {"PORT", "DATABASE_URL", "SMTP_SERVER"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SCRIBEWIRE_") or name in NAMES]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings(home: Path, **values: object) -> LocalSettings:
    return LocalSettings.model_validate({"home": home, **values})


def test_everything_is_here_by_default(tmp_path: Path) -> None:
    parts = assemble(settings(tmp_path), Home(tmp_path), None)
    assert [part.name for part in parts.infrastructure] == ["kafka", "postgres"]
    assert [part.name for part in parts.services] == list(SERVICES)
    every = [*parts.infrastructure, *parts.services]
    assert len({part.port for part in every}) == len({part.log for part in every}) == len(every)
    assert parts.environment["SCRIBEWIRE_KAFKA"] == f"127.0.0.1:{every[0].port}"
    assert parts.environment["DATABASE_URL"].endswith(f"@127.0.0.1:{every[1].port}/scribewire")
    assert parts.environment["SCRIBEWIRE_BLOBS"] == f"file://{tmp_path}/blobs"


def test_links_in_mails_lead_to_the_gateway_here_unless_it_is_said_where(tmp_path: Path) -> None:
    def told() -> str | None:
        values = assemble(settings(tmp_path, port=9001), Home(tmp_path), None).environment
        return values.get("SCRIBEWIRE_PUBLIC_URL")

    assert told() is None
    (tmp_path / ".env").write_text("SMTP_SERVER=mail.example.org\n")
    assert told() == "http://127.0.0.1:9001"
    # The services read the file as well.
    (tmp_path / ".env").write_text("SMTP_SERVER=mail.example.org\nSCRIBEWIRE_PUBLIC_URL=https://x.example.org\n")
    assert told() is None


def test_what_is_elsewhere_is_not_run(tmp_path: Path) -> None:
    elsewhere = settings(tmp_path, kafka="kafka.example:9092", database_url="postgresql://db.example/s")
    parts = assemble(elsewhere, Home(tmp_path), None)
    assert parts.infrastructure == []
    assert parts.environment["SCRIBEWIRE_KAFKA"] == "kafka.example:9092"
    assert parts.environment["DATABASE_URL"] == "postgresql://db.example/s"


def test_the_callers_variables_pass_but_the_port_is_the_gateways_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DEEPGRAM_API_KEY", "OPENAI_BASE_URL", "AZURE_CONTAINER", "SCRIBEWIRE_LEASE_TTL"):
        monkeypatch.setenv(name, f"my {name}")
    monkeypatch.setenv("PORT", "9001")
    told = assemble(settings(tmp_path), Home(tmp_path), None).environment
    assert told["DEEPGRAM_API_KEY"] == "my DEEPGRAM_API_KEY"
    assert {"OPENAI_BASE_URL", "AZURE_CONTAINER", "SCRIBEWIRE_LEASE_TTL"} <= set(told)
    assert "PORT" not in told


def test_more_of_a_service_on_request(tmp_path: Path) -> None:
    parts = assemble(settings(tmp_path, replicas="transcriber=3"), Home(tmp_path), None)
    names = [part.name for part in parts.services]
    assert [name for name in names if name.startswith("transcriber")] == [
        "transcriber",
        "transcriber-2",
        "transcriber-3",
    ]
    assert names.count("gateway") == 1


def test_ports_are_those_of_the_last_time_where_they_are_free(tmp_path: Path) -> None:
    port = free_port()
    before = State(1, 1.0, GatewayAddress("", ""), [PartStatus("kafka", port, "")])
    assert assemble(settings(tmp_path), Home(tmp_path), before).infrastructure[0].port == port


def test_one_more_process_can_join_a_running_platform(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        environment(tmp_path, settings(tmp_path))
    home = Home(tmp_path)
    home.make()
    home.postgres_password.write_text("word")
    running = State(
        os.getpid(),
        start_time(os.getpid()) or 0.0,
        GatewayAddress("", ""),
        [PartStatus("kafka", 1001, ""), PartStatus("postgres", 1002, "")],
    )
    running.write(home.state_file)
    told = environment(tmp_path, settings(tmp_path))
    assert told["SCRIBEWIRE_KAFKA"] == "127.0.0.1:1001"
    assert told["DATABASE_URL"] == "postgresql://scribewire:word@127.0.0.1:1002/scribewire"


def test_back_off_doubles_up_to_a_limit() -> None:
    backoff = Backoff(first=0.5, longest=30.0)
    assert [backoff.pause(failures) for failures in (1, 2, 3, 7, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]


@pytest.mark.skipif(sys.platform != "linux", reason="the range of outgoing ports is Linux's")
def test_free_ports_are_not_among_those_for_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 15
    assert all(is_free(port) and port < lowest for port in ports)
