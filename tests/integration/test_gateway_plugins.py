"""Plug-ins at the gateway: which are known, which are refused, and which run when nobody says."""

from collections.abc import AsyncIterator

import pytest

from common.events import UploadReceived
from support.gateway import RunningGateway, form, prepare, problem, running_gateway
from support.platform import fresh_database


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    usual = ("noise_reduction", "loudness")
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("gateway"), plugins=usual) as running:
        yield running


async def plugins(gateway: RunningGateway, **options: str) -> tuple[str, ...] | None:
    """Those that the event of a new job names."""
    job = await gateway.submit(**options)
    [event] = await gateway.events(job["id"], "upload.received.interactive")
    assert isinstance(event, UploadReceived)
    shown = event.options.plugins
    assert (await gateway.job(job["id"]))["options"]["plugins"] == (None if shown is None else list(shown))
    return shown


async def test_a_job_that_names_none_gets_the_operators(gateway: RunningGateway) -> None:
    assert await plugins(gateway) == ("noise_reduction", "loudness")


async def test_a_job_gets_those_it_names_in_its_order_or_none_at_all(gateway: RunningGateway) -> None:
    asked = "silence_trimming, language_detection,loudness"
    assert await plugins(gateway, plugins=asked) == ("silence_trimming", "language_detection", "loudness")
    assert await plugins(gateway, plugins="") is None


async def test_an_unknown_one_is_refused_and_those_there_are_are_named(gateway: RunningGateway) -> None:
    before = gateway.stored()
    async with gateway.http.post("/v1/jobs", data=form(b"RIFF", plugins="loudness,autotune")) as answer:
        said = await problem(answer, 422, "unsupported")
    assert said["errors"][0]["field"] == "plugins"
    message = said["errors"][0]["message"]
    assert "no plug-in autotune" in message
    assert "language_detection, loudness, noise_reduction, silence_trimming" in message
    assert gateway.stored() == before


async def test_a_gateway_whose_usual_plugins_are_not_there_does_not_start(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("gateway")
    with pytest.raises(ValueError, match="SCRIBEWIRE_PLUGINS: There is no plug-in autotune; there is "):
        async with running_gateway(gateway.kafka, gateway.dsn, folder, plugins="autotune, loudness"):
            pass
