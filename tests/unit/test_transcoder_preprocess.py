"""Which options a job goes on with behind its plug-ins."""

from uuid import UUID

import pytest

from common.errors import Permanent
from common.events import BlobRef, UploadReceived
from common.options import JobOptions, SegmentPlan
from common.plugins.job_settings import detected, initial
from common.plugins.process import Outcome
from transcoder.preprocess import options_behind


def job(provider: str, *, max_seconds: float | None = 300, **options: object) -> UploadReceived:
    return UploadReceived(
        job_id=UUID(int=1),
        owner="operator",
        source=BlobRef(name="x"),
        sha256="0" * 64,
        options=JobOptions.model_validate(options),
        plan=SegmentPlan(provider=provider, max_seconds=max_seconds),
    )


def behind(event: UploadReceived, **settings: object) -> JobOptions:
    left = initial(event.options, {"loudness_target": -16}, provider=event.plan.provider) | settings
    return options_behind(event, Outcome(left, dict.fromkeys(settings, "mine")))


def test_what_nobody_changed_stays() -> None:
    event = job("deepgram", keyterms=["Kafka"], model="nova-3", diarize=True, translate=["es"])
    assert behind(event) == event.options
    assert options_behind(event, None) is event.options


def test_what_may_be_changed_is_and_the_rest_is_not() -> None:
    event = job("deepgram", translate=["es"])
    made = behind(event, language="fr", keyterms=["Kafka"], profanity="masked", translate=["de"], provider="openai")
    assert made == event.options.model_copy(update={"language": "fr", "keyterms": ("Kafka",), "profanity": "masked"})


@pytest.mark.parametrize(
    ("event", "settings", "why"),
    [
        (job("pocketsphinx", max_seconds=15), {"language": "fr"}, "The plug-in mine changed language: pocketsphinx"),
        (job("deepgram"), {"profanity": "removed"}, "The plug-in mine changed profanity: deepgram cannot"),
        (job("deepgram"), {"language": "no language"}, "The plug-in mine set language to what it cannot be"),
        (
            job("openai"),
            {"keyterms": ["Kafka"]},
            "The plug-in mine changed keyterms, which needs the model gpt-transcr",
        ),
    ],
)
def test_what_cannot_be_is_the_plugins_failure(event: UploadReceived, settings: dict[str, object], why: str) -> None:
    with pytest.raises(Permanent) as failed:
        behind(event, **settings)
    assert failed.value.code == "plugin_failed"
    assert failed.value.message.startswith(why)


def test_an_operators_setting_does_not_hide_what_the_job_asks_for() -> None:
    told = initial(JobOptions(language="fr"), {"language": "de", "silence_seconds": 1}, provider="deepgram")
    assert (told["language"], told["silence_seconds"], told["provider"]) == ("fr", 1, "deepgram")
    assert detected(told) is None
    assert detected(told | {"detected_language": 5}) is None
