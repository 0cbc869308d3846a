"""OpenAI's chat completions as the SDK sees them; it "translates" by a mark before each text."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from support.listening import listening

Script = Callable[[web.Request, list[str]], web.Response | str | list[str] | None]
"""What to do with one call: a response as it is, a message's content, other translations, or None for the usual."""


@dataclass
class FakeChat:
    """Counts what is asked for; ``scripts`` are used up one a call, then every call is answered as usual."""

    url: str = ""
    calls: list[list[str]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    latency: float = 0.0
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    """Answers every call in its own way, scripts or not."""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        asked = await request.json()
        texts = json.loads(asked["messages"][-1]["content"])["texts"]
        self.keys.append(request.headers.get("authorization", ""))
        self.requests.append(asked)
        self.calls.append(texts)
        if self.answer is not None:
            return await self.answer(request)
        await asyncio.sleep(self.latency)
        told = self.scripts.pop(0)(request, texts) if self.scripts else None
        if isinstance(told, web.Response):
            return told
        if isinstance(told, str):
            return web.json_response(completion(asked["model"], told, texts))
        translations = told if isinstance(told, list) else [f"<{text}>" for text in texts]
        content = json.dumps({"translations": translations}, ensure_ascii=False)
        return web.json_response(completion(asked["model"], content, texts))


def completion(model: str, content: str, texts: list[str], *, finish_reason: str = "stop") -> dict[str, Any]:
    """A chat completion; ten tokens in and five out for each text."""
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 10 * len(texts),
            "completion_tokens": 5 * len(texts),
            "total_tokens": 15 * len(texts),
        },
    }


def error(status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None) -> Script:
    """Answer with an error as OpenAI words it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return lambda _request, _texts: web.json_response(body, status=status, headers=headers)


@asynccontextmanager
async def fake_chat() -> AsyncIterator[FakeChat]:
    """The fake, listening inside the block; ``url`` is what goes into OPENAI_BASE_URL."""
    fake = FakeChat()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.complete)
    async with listening(app) as url:
        fake.url = f"{url}/v1"
        yield fake
