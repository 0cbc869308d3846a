"""The access log: one JSON line for each request, in the form of every other line, without what may be private."""

import asyncio
import json
import logging
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.accesslog import AccessLog


async def test_a_line_is_json_and_has_no_query(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog(logging.getLogger("gateway.access"), "")
    for path in ("/v1/jobs?access_token=secret", '/v1/%22x%22"?q=secret'):
        log.log(make_mocked_request("GET", path), web.Response(text="ok"), 0.0123)
    await asyncio.sleep(0)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "GET /v1/jobs 200 0 bytes 12.3 ms",
        'GET /v1/"x"" 200 0 bytes 12.3 ms',
    ]
    assert {(line["level"], line["logger"], line["service"]) for line in lines} == {
        ("info", "gateway.access", "gateway")
    }
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert "secret" not in str(lines)


async def test_lines_of_several_connections_go_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("sys.stderr", SimpleNamespace(write=written.append, flush=lambda: None))
    for path in ("/v1/jobs", "/v1/keys"):
        connection = AccessLog(logging.getLogger("gateway.access"), "")
        connection.log(make_mocked_request("GET", path), web.Response(), 0.0)
    await asyncio.sleep(0)
    assert len(written) == 1
    assert [json.loads(line)["event"].split()[1] for line in written[0].splitlines()] == ["/v1/jobs", "/v1/keys"]


async def test_it_is_as_loud_as_its_logger() -> None:
    logger = logging.getLogger("gateway.access.of_a_test")
    logger.setLevel(logging.INFO)
    assert AccessLog(logger, "").enabled
    logger.setLevel(logging.WARNING)
    assert not AccessLog(logger, "").enabled
