"""The gateway as the process it is in production: its environment, its log, its end."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp

from support.gateway import KEY, prepare
from support.gateway_process import environment, gateway_process
from support.platform import fresh_database


async def test_it_takes_an_upload_logs_no_query_and_ends_on_sigterm(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path: Path
) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with gateway_process(kafka_bootstrap, dsn, tmp_path) as (process, url):
        async with aiohttp.ClientSession(url, headers={"x-api-key": KEY}) as http:
            async with http.post("/v1/jobs?language=en", data=b"sound") as answer:
                assert answer.status == 202
            async with http.get("/metrics") as answer:
                figures = await answer.text()
        assert 'scribewire_http_requests_total{operation="submit_job",status="202"} 1.0' in figures
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    text = (tmp_path / "gateway.log").read_text()
    assert "POST /v1/jobs 202" in text
    assert "language=en" not in text
    assert KEY not in text
    assert dsn not in text
    for line in text.splitlines():
        assert json.loads(line)["service"] == "gateway"


async def test_without_a_key_it_says_so_and_does_not_start(tmp_path: Path) -> None:
    given = environment(tmp_path)
    (tmp_path / "operator.key").write_text("")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"), env=given, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode == 2
    assert error.decode() == "gateway: the operator key must have at least 16 characters\n"


async def test_a_bad_setting_is_named_and_no_other_is_quoted(tmp_path: Path) -> None:
    given = environment(tmp_path, DATABASE_URL="postgresql://user:secret@127.0.0.1/x", MAX_FILE_SIZE_MB="0")
    del given["SCRIBEWIRE_OPERATOR_KEY_FILE"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"), env=given, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode == 2
    assert "operator_key_file" in error.decode()
    assert "MAX_FILE_SIZE_MB" in error.decode()
    assert "secret" not in error.decode()
