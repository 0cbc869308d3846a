"""A decoder that was taken over may say anything; what is passed on can be published, stored and shown."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.ffmpeg.report import Report
from transcoder.worker.wire import END, MEDIA

NUMBERS = st.one_of(st.floats(), st.integers(), st.none(), st.sampled_from([math.nan, math.inf, -1.0, 1e300, 2**70]))


def fit(value: float | None) -> bool:
    return value is None or (math.isfinite(value) and abs(value) < 2**41)


@given(
    words=st.tuples(st.text(), st.text()),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    levels=st.tuples(NUMBERS, NUMBERS),
)
def test_whatever_a_worker_says_is_fit_to_be_passed_on(words, numbers, levels) -> None:
    report = Report()
    names = ("container", "codec", "channels", "sample_rate", "duration")
    report.take(MEDIA, json.dumps(dict(zip(names, (*words, *numbers), strict=True)) | {"estimated": False}).encode())
    report.take(END, json.dumps({"causes": [], "mean_dbfs": levels[0], "peak_dbfs": levels[1]}).encode())
    if report.media is None:
        return
    media = report.media
    assert all(fit(number) for number in (media.duration, media.mean_dbfs, media.peak_dbfs))
    assert media.duration is None or media.duration >= 0
    assert 0 <= media.channels < 2**41
    assert 0 <= media.sample_rate < 2**41
    assert not set(media.container + media.codec) & set("<>&\"'/\\\r\n\0 ")
    assert len(media.container) <= 64
    assert len(media.codec) <= 64


@given(kind=st.sampled_from([MEDIA, END, b"x"]), payload=st.binary(max_size=200))
def test_no_bytes_break_the_report(kind: bytes, payload: bytes) -> None:
    report = Report()
    report.take(kind, payload)
    assert report.refusal(0).message


@pytest.mark.parametrize("status", [-11, -6, -31, 1, 70])
def test_a_worker_that_crashes_without_a_word_has_a_reason_for_people(status: int) -> None:
    assert Report().refusal(status).code == "undecodable"
