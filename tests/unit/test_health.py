"""Health is served where the settings say, and says what is wrong."""

import aiohttp
import pytest

from common.health import serve_health


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_it_is_served_on_the_address_given_and_on_no_other(host: str) -> None:
    runner = await serve_health(host, 0, stuck=list, unready=lambda: ["no Kafka"])
    try:
        (address,) = runner.addresses
        assert address[0] == host
        async with aiohttp.ClientSession(f"http://{host}:{address[1]}") as http:
            async with http.get("/healthz") as answer:
                assert (answer.status, await answer.json()) == (200, {"status": "ok", "reasons": []})
            async with http.get("/readyz") as answer:
                assert (answer.status, (await answer.json())["reasons"]) == (503, ["no Kafka"])
            async with http.get("/metrics") as answer:
                assert (answer.status, "python_info" in await answer.text()) == (200, True)
    finally:
        await runner.cleanup()
