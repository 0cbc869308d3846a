"""Who does a job, how its audio is cut, and what people are told when nobody can."""

import pytest

from common import catalogue
from common.catalogue import Unsupported, choose, choose_translator, configured, cost, model_for
from common.engines import APERTIUM, DEEPGRAM, ENGINES, OPENAI, OPENAI_TRANSLATION, POCKETSPHINX
from common.options import JobOptions
from common.settings import ProviderSettings

OFFLINE = (POCKETSPHINX, APERTIUM)
ALL = (DEEPGRAM, OPENAI, OPENAI_TRANSLATION, POCKETSPHINX, APERTIUM)


def settings(**keys: str) -> ProviderSettings:
    return ProviderSettings(_env_file=None, **{"deepgram_api_key": None, "openai_api_key": None, **keys})


def test_without_a_key_only_what_works_offline_is_configured(monkeypatch):
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    engines = configured(settings())
    assert all(e.offline for e in engines)
    assert "pocketsphinx" in [e.name for e in engines]


def test_a_key_in_the_settings_makes_its_provider_the_first_choice():
    engines = configured(settings(deepgram_api_key="k", openai_api_key="k"))
    assert choose(JobOptions(), engines).provider == "deepgram"
    assert choose_translator("de", "en", JobOptions(), engines).name == "openai"


@pytest.mark.parametrize("language", ["en", "en-US", "EN-gb"])
def test_pocketsphinx_takes_every_english_in_short_segments(language):
    plan = choose(JobOptions(language=language), OFFLINE)
    assert plan.provider == "pocketsphinx"
    assert plan.max_seconds == 15


def test_deepgram_hears_five_minutes_at_once_and_everything_when_it_tells_speakers_apart():
    assert choose(JobOptions(language="fr"), ALL).max_seconds == 300
    assert choose(JobOptions(diarize=True), ALL).max_seconds is None


def test_a_default_that_cannot_gives_way_to_one_that_can():
    assert choose(JobOptions(language="cy"), ALL).provider == "openai"


def test_the_engine_gets_the_model_that_can_do_the_job():
    assert model_for(OPENAI, JobOptions()).name == "whisper-1"
    assert model_for(OPENAI, JobOptions(diarize=True)).name == "gpt-4o-transcribe-diarize"
    assert model_for(OPENAI, JobOptions(keyterms=("Scribewire",))).name == "gpt-transcribe"
    assert model_for(DEEPGRAM, JobOptions(language="th")).name == "nova-2"


def test_a_model_alone_names_its_engine():
    assert choose(JobOptions(model="whisper-1"), ALL).provider == "openai"


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        (JobOptions(language="fr"), "language", "recognise fr; deepgram (set DEEPGRAM_API_KEY) or openai"),
        (JobOptions(diarize=True), "diarize", "tell speakers apart; deepgram"),
        (JobOptions(keyterms=("x",)), "keyterms", "deepgram"),
        (JobOptions(profanity="masked"), "profanity", "deepgram (set DEEPGRAM_API_KEY) could"),
        (JobOptions(speakers=2), "speakers", "no engine here can"),
        (JobOptions(provider="deepgram"), "provider", "set DEEPGRAM_API_KEY"),
        (JobOptions(provider="nobody"), "provider", "there is pocketsphinx"),
        (JobOptions(model="nova-3"), "model", "deepgram (set DEEPGRAM_API_KEY) could"),
        (JobOptions(model="nova-9"), "model", "There is no model nova-9"),
        (JobOptions(provider="pocketsphinx", model="nova-3"), "model", "it has en-us"),
        (JobOptions(language="fr", profanity="removed"), "language", "recognise fr; deepgram"),
    ],
)
def test_a_refusal_names_the_option_and_who_could(options, field, told):
    with pytest.raises(Unsupported) as refused:
        choose(options, OFFLINE)
    assert refused.value.field == field
    assert told in refused.value.message


def test_translation_goes_to_who_has_the_pair():
    assert choose_translator("es-ES", "en-US", JobOptions(), OFFLINE).name == "apertium"
    assert choose_translator("es", "en", JobOptions(translator="openai"), ALL).name == "openai"


@pytest.mark.parametrize(
    ("language", "translator", "field", "told"),
    [
        ("de", None, "translate", "openai (set OPENAI_API_KEY) could"),
        ("de", "apertium", "translate", "apertium cannot translate en into de"),
        ("es", "openai", "translator", "set OPENAI_API_KEY"),
        ("es", "nobody", "translator", "There is no translation engine nobody"),
    ],
)
def test_a_refused_translation_names_the_option_and_who_could(language, translator, field, told):
    with pytest.raises(Unsupported) as refused:
        choose_translator(language, "en", JobOptions(translator=translator), OFFLINE)
    assert refused.value.field == field
    assert told in refused.value.message


def test_apertiums_own_list_becomes_pairs_without_its_variants():
    listing = "  eng-spa\n  spa-eng\n  spa-eng_US\n  nob-nno\n"
    assert catalogue.apertium_pairs(listing) == {("en", "es"), ("es", "en"), ("nb", "nn")}


def test_costs_are_list_prices_by_the_minute():
    assert cost(DEEPGRAM, "nova-3", 90) == pytest.approx(0.00645)
    assert cost(POCKETSPHINX, "en-us", 3600) == 0
    assert catalogue.token_cost(OPENAI_TRANSLATION, "gpt-4o-mini", 1_000_000, 1_000_000) == pytest.approx(0.75)


def test_names_are_unique_within_a_service():
    names = [(e.service, e.name) for e in ENGINES]
    assert len(names) == len(set(names))
    assert all(
        m.max_seconds is None or m.max_seconds * 32_000 < e.max_bytes for e in ENGINES if e.max_bytes for m in e.models
    )
