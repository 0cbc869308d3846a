"""The OpenAI adapter through the real SDK against a server that speaks its wire format."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from aiohttp import web

from common.errors import Permanent, Transient
from support.fake_openai_chat import FakeChat, completion, error, fake_chat
from support.receiver import drip
from translator.providers.openai import OpenAI

KEY = "sk-test-0123456789"


@asynccontextmanager
async def engine(**options: Any) -> AsyncIterator[tuple[OpenAI, FakeChat]]:
    async with (
        fake_chat() as fake,
        openai.AsyncOpenAI(api_key=KEY, base_url=fake.url, max_retries=0) as client,
    ):
        yield OpenAI(client=client, model="gpt-4o-mini", **options), fake


async def test_texts_go_in_one_call_and_come_back_in_order() -> None:
    async with engine() as (translator, fake):
        done = await translator.translate(["one", "zwei — 三"], source="en", target="es")
    assert done.texts == ("<one>", "<zwei — 三>")
    assert (done.input_tokens, done.output_tokens) == (20, 10)
    assert fake.calls == [["one", "zwei — 三"]]
    assert fake.keys == [f"Bearer {KEY}"]
    asked = fake.requests[0]
    assert asked["model"] == "gpt-4o-mini"
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert "from en into es" in asked["messages"][0]["content"]


async def test_a_wrong_count_is_asked_for_again_in_halves_and_every_token_is_counted() -> None:
    async with engine() as (translator, fake):
        fake.scripts = [lambda _request, texts: [" ".join(texts)]]
        done = await translator.translate(["a", "b", "c"], source="en", target="es")
    assert done.texts == ("<a>", "<b>", "<c>")
    assert fake.calls == [["a", "b", "c"], ["a"], ["b", "c"]]
    assert done.input_tokens == 60


@pytest.mark.parametrize("content", ["no JSON", '{"translations": [1]}', '{"other": []}', "[]", ""])
async def test_an_unusable_answer_is_asked_for_again(content: str) -> None:
    async with engine() as (translator, fake):
        fake.scripts = [lambda _request, _texts: content]
        done = await translator.translate(["a", "b"], source="en", target="es")
    assert done.texts == ("<a>", "<b>")


async def test_an_answer_cut_short_is_asked_for_again() -> None:
    def cut(_request: web.Request, texts: list[str]) -> web.Response:
        return web.json_response(completion("m", '{"translations": ["<a>", "<b>"]}', texts, finish_reason="length"))

    async with engine() as (translator, fake):
        fake.scripts = [cut]
        await translator.translate(["a", "b"], source="en", target="es")
        assert fake.calls == [["a", "b"], ["a"], ["b"]]


async def test_one_refused_text_stays_as_spoken() -> None:
    def refuse(_request: web.Request, texts: list[str]) -> str | None:
        return "I cannot help with that." if "bad" in texts else None

    async with engine() as (translator, fake):
        fake.scripts = [refuse] * 9
        done = await translator.translate(["good", "bad", "fine", "well"], source="en", target="es")
    assert done.texts == ("<good>", "bad", "<fine>", "<well>")


async def test_a_model_that_never_translates_is_not_paid_for_long() -> None:
    async with engine() as (translator, fake):
        fake.scripts = [lambda _request, _texts: "I cannot help with that."] * 1000
        with pytest.raises(Permanent) as caught:
            await translator.translate([f"text {i}" for i in range(300)], source="en", target="es")
        assert len(fake.calls) <= 10
    assert caught.value.code == "provider_useless"


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (400, "context_length_exceeded", Permanent, "provider_refused"),
        (401, "invalid_api_key", Transient, "provider_auth"),
        (402, None, Transient, "provider_quota"),
        (403, None, Transient, "provider_auth"),
        (404, "model_not_found", Permanent, "provider_refused"),
        (408, None, Transient, "provider_unavailable"),
        (413, None, Permanent, "provider_refused"),
        (422, None, Permanent, "provider_refused"),
        (429, "insufficient_quota", Transient, "provider_quota"),
        (429, "rate_limit_exceeded", Transient, "provider_busy"),
        (500, None, Transient, "provider_unavailable"),
        (503, None, Transient, "provider_unavailable"),
    ],
)
async def test_errors_become_the_houses_words(
    status: int, code: str | None, kind: type[Permanent | Transient], ours: str
) -> None:
    async with engine() as (translator, fake):
        fake.scripts = [error(status, f"Incorrect API key provided: {KEY}", code=code)]
        with pytest.raises(kind) as caught:
            await translator.translate(["a"], source="en", target="es")
        assert len(fake.calls) == 1, "the SDK's own retries are off"
    assert caught.value.code == ours
    assert KEY not in caught.value.message


async def test_retry_after_is_handed_on() -> None:
    async with engine() as (translator, fake):
        fake.scripts = [error(429, "slow down", code="rate_limit_exceeded", headers={"retry-after": "37"})]
        with pytest.raises(Transient) as caught:
            await translator.translate(["a"], source="en", target="es")
    assert caught.value.retry_after == 37


@pytest.mark.parametrize("body", ["<html>proxy</html>", "{", "{}", "[]", "null", '{"choices": [{}]}', '{"choices": 7}'])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
async def test_an_answer_that_is_no_completion_is_tried_again(body: str, kind: str) -> None:
    async with engine() as (translator, fake):
        fake.scripts = [lambda _request, _texts: web.Response(text=body, content_type=kind)]
        with pytest.raises(Transient) as caught:
            await translator.translate(["a"], source="en", target="es")
    assert caught.value.code == "provider_garbled"


async def test_an_answer_that_drips_is_given_up() -> None:
    async with engine(seconds=0.3) as (translator, fake):
        fake.answer = drip
        with pytest.raises(Transient) as caught:
            await asyncio.wait_for(translator.translate(["a"], source="en", target="es"), 5)
    assert caught.value.code == "provider_timeout"


async def test_silence_and_absence_are_transient() -> None:
    async with engine(seconds=0.2) as (translator, fake):
        fake.latency = 5
        with pytest.raises(Transient) as caught:
            await translator.translate(["a"], source="en", target="es")
        assert caught.value.code == "provider_timeout"
    async with openai.AsyncOpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1", max_retries=0) as client:
        with pytest.raises(Transient) as caught:
            await OpenAI(client=client, model="m").translate(["a"], source="en", target="es")
    assert caught.value.code == "provider_unreachable"
