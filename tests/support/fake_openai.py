"""An OpenAI that costs nothing: ``POST /v1/audio/transcriptions`` on loopback, in the wire format its own SDK reads."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import BodyPartReader, web

from support.paid_calls import Call, PaidCalls, received


def error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class FakeOpenAI(PaidCalls):
    """Use it as an async context manager; see `PaidCalls`. Point the SDK at ``base_url``."""

    @property
    def base_url(self) -> str:
        """What the SDK takes."""
        return f"{self.url}/v1"

    async def __aenter__(self) -> "FakeOpenAI":
        await self.start(web.post("/v1/audio/transcriptions", self._transcriptions))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _transcriptions(self, request: web.Request) -> web.StreamResponse:
        fields: dict[str, list[str]] = defaultdict(list)
        sha256, seconds = "", 0.0
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                sha256, seconds = await received(_chunks(part))
            elif part.name is not None:
                fields[part.name].append(await part.text())
        query = [(name, value) for name, values in fields.items() for value in values]
        call = Call(sha256, seconds, query, dict(request.headers), time.time())
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            call.outcome, call.status, call.ended = "refused", 401, time.time()
            self.calls.append(call)
            given = request.headers.get("Authorization", "")[7:]
            return web.json_response(error(f"Incorrect API key provided: {given}", code="invalid_api_key"), status=401)
        return await self.answer(request, call, lambda: self._success(call, fields))

    def _success(self, call: Call, fields: dict[str, list[str]]) -> dict[str, Any]:
        words = self.words(call.sha256, call.seconds)
        text = " ".join(word for word, _, _ in words).capitalize() + "."
        kind = fields["response_format"][0] if "response_format" in fields else "json"
        if kind == "verbose_json":
            answer: dict[str, Any] = {
                "task": "transcribe",
                "language": "english",
                "duration": call.seconds,
                "text": text,
            }
            answer["segments"] = [_segment(text, words[0][1], words[-1][2])] if words else []
            if "word" in fields["timestamp_granularities[]"]:
                answer["words"] = [{"word": word, "start": start, "end": end} for word, start, end in words]
            return answer | {"usage": {"type": "duration", "seconds": round(call.seconds)}}
        if kind == "diarized_json":
            turns = [
                {
                    "type": "transcript.text.segment",
                    "id": f"seg_{i}",
                    "start": s,
                    "end": e,
                    "text": w,
                    "speaker": "AB"[i % 2],
                }
                for i, (w, s, e) in enumerate(words)
            ]
            return {"task": "transcribe", "duration": call.seconds, "text": text, "segments": turns}
        return {
            "text": text,
            "usage": {"type": "tokens", "input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        }


def _segment(text: str, start: float, end: float) -> dict[str, Any]:
    return {
        "id": 0, "seek": 0, "start": start, "end": end, "text": f" {text}", "tokens": [1], "temperature": 0.0,
        "avg_logprob": -0.2, "compression_ratio": 1.0, "no_speech_prob": 0.01,
    }  # fmt: skip


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(256 * 1024):
        yield chunk
