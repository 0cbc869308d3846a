"""The paid adapters through the providers' own SDKs, against servers that speak their wire format."""

import asyncio
import hashlib
import os
import threading
import time

import pytest

from common.errors import Permanent, Transient
from common.options import JobOptions
from support.fake_deepgram import FakeDeepgram
from support.fake_openai import FakeOpenAI, error
from support.paid_calls import Answer
from support.segments import silence
from transcriber.providers.audio_calls import time_limit
from transcriber.providers.deepgram import Deepgram
from transcriber.providers.openai import OpenAI

KEY = "secret-test-key"


@pytest.fixture
def audio(tmp_path):
    path = tmp_path / "segment.wav"
    path.write_bytes(silence(4))
    return path


@pytest.fixture(params=["deepgram", "openai"])
async def provider(request):
    """A fake and its adapter, for what both must do alike."""
    fake, adapter = {"deepgram": (FakeDeepgram, deepgram), "openai": (FakeOpenAI, openai)}[request.param]
    async with fake() as server, adapter(server) as recogniser:
        yield server, recogniser


def deepgram(fake, key=KEY):
    return Deepgram(key, base_url=fake.url)


def openai(fake, key=KEY):
    return OpenAI(key, base_url=fake.base_url)


async def hear(recogniser, audio, **options):
    return await recogniser.recognise(audio, options=JobOptions(**options), duration=4.0)


async def test_deepgram_gives_words_utterances_and_what_it_charges_for(audio):
    async with FakeDeepgram() as fake, deepgram(fake) as recogniser:
        heard = await hear(
            recogniser, audio, language="EN-us", keyterms=("Scribewire", "Kafka log"), profanity="masked"
        )
        (call,) = fake.calls
    assert call.sha256 == hashlib.sha256(audio.read_bytes()).hexdigest()
    assert (heard.model, heard.endpoint, heard.seconds) == ("nova-3", "/v1/listen", 4.0)
    assert heard.text == " ".join(w.word for w in heard.words)
    assert heard.words[0].word.istitle()
    assert [(w.start, w.end, w.confidence, w.speaker) for w in heard.words[:2]] == [
        (0.0, 0.4, 0.97, None),
        (0.5, 0.9, 0.97, None),
    ]
    assert "".join(u.text for u in heard.utterances).replace(" ", "") == heard.text.replace(" ", "")
    assert sorted(call.query) == [
        ("keyterm", "Kafka log"),
        ("keyterm", "Scribewire"),
        ("language", "en-US"),
        ("model", "nova-3"),
        ("profanity_filter", "true"),
        ("punctuate", "true"),
        ("smart_format", "true"),
        ("utterances", "true"),
    ]


async def test_deepgram_counts_speakers_from_one(audio):
    async with FakeDeepgram() as fake, deepgram(fake) as recogniser:
        heard = await hear(recogniser, audio, diarize=True)
    assert {w.speaker for w in heard.words} == {u.speaker for u in heard.utterances} == {"Speaker 1", "Speaker 2"}
    assert len(heard.utterances) == len(heard.words) / 2


async def test_openai_whisper_gives_times_of_words(audio):
    async with FakeOpenAI() as fake, openai(fake) as recogniser:
        heard = await hear(recogniser, audio, language="en-GB")
        (call,) = fake.calls
    assert call.sha256 == hashlib.sha256(audio.read_bytes()).hexdigest()
    assert (heard.model, heard.endpoint, heard.seconds) == ("whisper-1", "/audio/transcriptions", 4.0)
    assert len(heard.words) == 8
    assert [u.text for u in heard.utterances] == [heard.text]
    assert sorted(call.query) == [
        ("language", "en"),
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    ]


async def test_openai_listens_for_key_terms(audio):
    async with FakeOpenAI() as fake, openai(fake) as recogniser:
        heard = await hear(recogniser, audio, keyterms=("Scribewire",))
        asked = sorted(fake.calls[0].query)
    assert (heard.model, heard.words, heard.utterances) == ("gpt-transcribe", (), ())
    assert heard.text
    assert asked == [
        ("keywords[]", "Scribewire"),
        ("languages[]", "en"),
        ("model", "gpt-transcribe"),
        ("response_format", "json"),
    ]


async def test_openai_tells_speakers_apart_by_letters(audio):
    async with FakeOpenAI() as fake, openai(fake) as recogniser:
        heard = await hear(recogniser, audio, diarize=True)
    assert heard.model == "gpt-4o-transcribe-diarize"
    assert [u.speaker for u in heard.utterances[:3]] == ["Speaker A", "Speaker B", "Speaker A"]


async def test_openai_is_not_sent_what_it_would_refuse(tmp_path):
    path = tmp_path / "long.wav"
    path.touch()
    os.truncate(path, 1 << 40)  # a whole recording is not read before it is refused
    async with FakeOpenAI() as fake, openai(fake) as recogniser:
        with pytest.raises(Permanent) as refused:
            await recogniser.recognise(path, options=JobOptions(diarize=True), duration=820)
        assert fake.calls == []
    assert refused.value.code == "audio_too_large"


async def test_silence_is_an_empty_text(audio):
    async with FakeDeepgram(words=lambda *_: []) as one, FakeOpenAI(words=lambda *_: []) as other:
        async with deepgram(one) as recogniser:
            heard = await hear(recogniser, audio)
            assert (heard.text, heard.words, heard.utterances) == ("", (), ())
        async with openai(other) as recogniser:
            heard = await hear(recogniser, audio)
            assert (heard.words, heard.utterances) == ((), ())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (402, "provider_quota"),
        (403, "provider_auth"),
        (408, "provider_unavailable"),
        (429, "provider_busy"),
        (500, "provider_unavailable"),
        (503, "provider_unavailable"),
        (504, "provider_unavailable"),
    ],
)
async def test_what_may_pass_is_tried_again_by_the_bus_and_by_nobody_else(provider, audio, status, code):
    fake, recogniser = provider
    fake.script(Answer(status, error("later"), {"Retry-After": "7"}))
    with pytest.raises(Transient) as failed:
        await hear(recogniser, audio)
    assert failed.value.code == code
    assert failed.value.retry_after == (None if code == "provider_auth" else 7.0)
    assert len(fake.calls) == 1
    assert fake.paid() == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "provider_refused"), (413, "audio_too_large"), (415, "audio_refused"), (422, "provider_refused")],
)
async def test_what_will_always_be_refused_is_permanent_and_says_why(provider, audio, status, code):
    fake, recogniser = provider
    body = error("corrupt or unsupported data")
    fake.script(Answer(status, body | {"err_msg": "corrupt or unsupported data", "err_code": "Bad Request"}))
    with pytest.raises(Permanent) as failed:
        await hear(recogniser, audio)
    assert failed.value.code == code
    assert "corrupt or unsupported data" in failed.value.message
    assert len(fake.calls) == 1


@pytest.mark.parametrize(("fake_type", "adapter"), [(FakeDeepgram, deepgram), (FakeOpenAI, openai)])
async def test_a_refused_key_is_the_operators_and_is_never_shown(audio, fake_type, adapter):
    async with fake_type() as fake, adapter(fake, "sk-wrong-and-secret") as recogniser:
        with pytest.raises(Transient) as failed:
            await hear(recogniser, audio)
    assert failed.value.code == "provider_auth"
    shown = [failed.value.message, repr(failed.value), str(failed.value.__cause__), str(failed.value.__context__ or "")]
    assert failed.value.__suppress_context__
    assert not any("sk-wrong-and-secret" in text for text in shown[:3])


@pytest.mark.parametrize(
    "body", ["<html>proxy</html>", "{", "[]", '{"results": "x", "text": 7}', '{"results": {"channels": []}}', "null"]
)
async def test_an_answer_that_makes_no_sense_is_tried_again(provider, audio, body):
    fake, recogniser = provider
    fake.script(Answer(200, body))
    with pytest.raises(Transient) as failed:
        await hear(recogniser, audio)
    assert failed.value.code == "provider_garbled"


async def test_a_connection_cut_in_mid_answer_is_tried_again(provider, audio):
    fake, recogniser = provider
    fake.script(Answer(drop=True))
    with pytest.raises(Transient) as failed:
        await hear(recogniser, audio)
    assert failed.value.code == "provider_unreachable"
    assert [call.outcome for call in fake.calls] == ["dropped"]


@pytest.mark.parametrize(
    "adapter", [lambda: Deepgram(KEY, base_url=NOBODY), lambda: OpenAI(KEY, base_url=f"{NOBODY}/v1")]
)
async def test_a_provider_that_is_not_there_is_tried_again(audio, adapter):
    async with adapter() as recogniser:
        with pytest.raises(Transient) as failed:
            await hear(recogniser, audio)
    assert failed.value.code == "provider_unreachable"


NOBODY = "http://127.0.0.1:9"


async def test_a_provider_that_is_too_slow_is_given_up(provider, audio, monkeypatch):
    fake, recogniser = provider
    for module in ("deepgram", "openai"):
        monkeypatch.setattr(f"transcriber.providers.{module}.time_limit", lambda _: 0.3)
    fake.script(Answer(delay=0.8))
    began = time.monotonic()
    with pytest.raises(Transient) as failed:
        await hear(recogniser, audio)
    assert failed.value.code == "provider_timeout"
    assert time.monotonic() - began < 0.8
    await _until(lambda: fake.calls[0].outcome == "cut")
    assert sum(fake.paid().values()) == 1


async def test_calls_run_side_by_side(provider, audio):
    fake, recogniser = provider
    fake.latency = 0.3
    began = time.monotonic()
    await asyncio.gather(*(hear(recogniser, audio) for _ in range(10)))
    assert time.monotonic() - began < 2.0
    assert list(fake.paid().values()) == [10]


async def test_a_fake_runs_in_a_threads_own_loop(audio):
    fake, ready, stop = FakeDeepgram(latency=lambda call: call.seconds / 100), threading.Event(), threading.Event()

    async def serve():
        async with fake:
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        await asyncio.to_thread(ready.wait, 10)
        async with deepgram(fake) as recogniser:
            assert (await hear(recogniser, audio)).text
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 10)
    (call,) = fake.calls
    assert call.outcome == "answered"
    assert call.ended - call.started >= 0.04


def test_time_limits_follow_the_audio_up_to_what_providers_do():
    assert time_limit(0) == 30
    assert time_limit(300) == 330
    assert time_limit(36_000) == 660


async def _until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
