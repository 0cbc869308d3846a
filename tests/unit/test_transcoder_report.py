"""What is made of a worker's words, and of its silence."""

import json
import signal
from dataclasses import asdict

import pytest

from transcoder.causes import named_in
from transcoder.ffmpeg.report import Report
from transcoder.ports import Media
from transcoder.worker.wire import END, MEDIA, Described, Findings

AAC = Described("mov,mp4,m4a,3gp,3g2,mj2", "aac", 6, 44_100, 3723.5, False)


def report(described: Described | None = AAC, findings: Findings | None = None) -> Report:
    made = Report()
    if described is not None:
        made.take(MEDIA, json.dumps(asdict(described)).encode())
    if findings is not None:
        made.take(END, json.dumps(asdict(findings), default=sorted).encode())
    return made


def test_the_media_is_as_described_and_at_the_end_as_loud_as_measured() -> None:
    assert report().media == Media("mov,mp4,m4a,3gp,3g2,mj2", "aac", 6, 44_100, 3723.5)
    heard = report(findings=Findings(mean_dbfs=-20.5, peak_dbfs=-1.0)).media
    assert heard is not None
    assert (heard.facts()["mean_dbfs"], heard.facts()["peak_dbfs"]) == (-20.5, -1.0)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("moov atom not found", "truncated"),
        ("DRM protected stream detected, decoding will likely fail!", "encrypted"),
        ("activation_bytes option is missing!", "encrypted"),
        ("Number of tracks exceeds max_streams (64)", "decoder_limits"),
        ("Error while opening decoder: Cannot allocate memory", "decoder_limits"),
        ("Format not on whitelist 'mp3,wav'", "not_media"),
        ("nothing at all", "not_media"),
    ],
)
def test_errors_become_codes(message: str, code: str) -> None:
    assert report(None, Findings(causes=named_in(message), broken=True)).refusal(0).code == code


def test_the_more_telling_cause_wins() -> None:
    causes = named_in("moov atom not found") | {"resources", "noise"}
    assert report(None, Findings(causes=causes)).refusal(0).code == "truncated"


@pytest.mark.parametrize(
    ("findings", "status", "code"),
    [
        (Findings(), 0, "empty_audio"),
        (Findings(broken=True), 0, "undecodable"),
        (Findings(ends_early=True), 0, "undecodable"),
        (Findings(causes={"codec"}), 0, "unsupported_codec"),
        (None, -signal.SIGSEGV, "undecodable"),
        (None, 70, "undecodable"),
    ],
)
def test_audio_that_was_announced_but_did_not_come(findings: Findings | None, status: int, code: str) -> None:
    assert report(findings=findings).refusal(status).code == code


def test_a_limit_makes_the_file_fail_even_if_audio_came_before_it() -> None:
    assert report(findings=Findings(causes={"resources"})).fatal(0) is not None
    assert report().fatal(-signal.SIGXCPU) is not None
    assert report(findings=Findings(causes={"cut off"})).fatal(0) is None


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff", b'{"causes": 1, "container": "x" , "codec": [], "channels": 1e99}']
)
def test_what_is_no_message_is_as_good_as_silence(payload: bytes) -> None:
    made = Report()
    made.take(MEDIA, payload)
    made.take(END, payload)
    assert made.media is None
    assert not made.whole
    assert made.refusal(0).code == "undecodable"


def test_no_name_is_longer_than_a_name() -> None:
    media = report(Described("c" * 10_000, "d" * 10_000, 1, 1, None, False)).media
    assert media is not None
    assert len(media.container + media.codec) == 128
