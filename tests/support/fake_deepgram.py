"""A Deepgram that costs nothing: ``POST /v1/listen`` on loopback, in the wire format its own SDK reads."""

import time
from typing import Any
from uuid import uuid4

from aiohttp import web

from support.paid_calls import Call, PaidCalls, received

UNAUTHORISED = {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "0"}


class FakeDeepgram(PaidCalls):
    """Use it as an async context manager; see `PaidCalls`. ``speakers`` take turns of two words when diarising.

    A caller that has ``/NAME`` behind the address goes into its calls as ``payer``.
    """

    speakers: int = 2

    async def __aenter__(self) -> "FakeDeepgram":
        await self.start(web.post("/v1/listen", self._listen), web.post("/{payer}/v1/listen", self._listen))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        sha256, seconds = await received(request.content.iter_any())
        call = Call(sha256, seconds, list(request.query.items()), dict(request.headers), time.time())
        call.payer = request.match_info.get("payer", "")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or key != self.key:
            call.outcome, call.status, call.ended = "refused", 401, time.time()
            self.calls.append(call)
            return web.json_response(UNAUTHORISED, status=401)
        return await self.answer(request, call, lambda: self._success(call))

    def _success(self, call: Call) -> dict[str, Any]:
        asked = dict(call.query)
        diarise = "diarize_model" in asked or asked.get("diarize") == "true"
        words = [
            self._word(i, *spoken, diarise=diarise) for i, spoken in enumerate(self.words(call.sha256, call.seconds))
        ]
        transcript = " ".join(w["punctuated_word"] for w in words)
        model = str(uuid4())
        results: dict[str, Any] = {
            "channels": [{"alternatives": [{"transcript": transcript, "confidence": 0.98, "words": words}]}]
        }
        if asked.get("utterances") == "true":
            results["utterances"] = [self._utterance(run) for run in _turns(words)]
        return {
            "metadata": {
                "transaction_key": "deprecated",
                "request_id": str(uuid4()),
                "sha256": call.sha256,
                "created": "2026-11-21T00:00:00.000Z",
                "duration": call.seconds,
                "channels": 1,
                "models": [model],
                "model_info": {model: {"name": asked.get("model", "base"), "version": "0", "arch": "fake"}},
            },
            "results": results,
        }

    def _word(self, index: int, word: str, start: float, end: float, *, diarise: bool) -> dict[str, Any]:
        written = word.capitalize() if index == 0 else word
        found = {"word": word, "start": start, "end": end, "confidence": 0.97, "punctuated_word": written}
        return found | ({"speaker": index // 2 % self.speakers, "speaker_confidence": 0.9} if diarise else {})

    def _utterance(self, words: list[dict[str, Any]]) -> dict[str, Any]:
        first, last = words[0], words[-1]
        found = {
            "start": first["start"],
            "end": last["end"],
            "confidence": 0.97,
            "channel": 0,
            "transcript": " ".join(w["punctuated_word"] for w in words),
            "words": words,
            "id": str(uuid4()),
        }
        return found | ({"speaker": first["speaker"]} if "speaker" in first else {})


def _turns(words: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    turns: list[list[dict[str, Any]]] = []
    for word in words:
        if turns and turns[-1][-1].get("speaker") == word.get("speaker") and word["start"] - turns[-1][-1]["end"] < 0.8:
            turns[-1].append(word)
        else:
            turns.append([word])
    return turns
