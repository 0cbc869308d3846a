"""What is read from ffmpeg's standard error."""

import pytest

from transcoder.ffmpeg.report import Report
from transcoder.ports import Media

FILM = b"""[h264 @ 0x55] [error] Codec (h264) not on whitelist 'aac,mp3'
[in#0/mov,mp4 @ 0x55] [warning] Failed to open codec in avformat_find_stream_info
[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'fd:':
[info]   Metadata:
[info]     title           :   Stream #0:0: Audio: flac, 1 Hz, mono
[info]   Duration: 01:02:03.50, start: 0.000000, bitrate: 68 kb/s
[info]   Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), none(progressive), 320x180, 14 kb/s
[info]   Stream #0:1[0x2](deu): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, 5.1(side), fltp, 49 kb/s (default)
[info]   Stream #0:2[0x3](und): Audio: mp3 (mp4a / 0x6134706D), 8000 Hz, mono, fltp, 49 kb/s
[info] Stream mapping:
[info] Output #0, s16le, to 'pipe:1':
"""


def report(text: bytes, chunk: int = 1000) -> Report:
    made = Report()
    for at in range(0, len(text), chunk):
        made.feed(text[at : at + chunk])
    return made


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_the_first_audio_track_is_described(chunk: int) -> None:
    made = report(FILM, chunk)
    assert made.media == Media("mov,mp4,m4a,3gp,3g2,mj2", "aac", 6, 44_100, 3723.5)
    assert made.announced
    assert made.fatal is None


@pytest.mark.parametrize(
    ("layout", "channels"),
    [
        ("mono", 1),
        ("stereo", 2),
        ("5.1(side)", 6),
        ("7.1.4", 12),
        ("9.1.6", 16),
        ("16 channels (FL+FR)", 16),
        ("odd", 0),
    ],
)
def test_channels_are_counted(layout: str, channels: int) -> None:
    made = report(b"[info]   Stream #0:0: Audio: flac, 8000 Hz, %s, s16, 49 kb/s\n" % layout.encode())
    assert made.media is not None
    assert made.media.channels == channels


def test_a_guessed_duration_is_marked() -> None:
    made = report(b"[mp3 @ 0x1] [warning] Estimating duration from bitrate, this may be inaccurate\n" + FILM)
    assert made.media is not None
    assert made.media.estimated


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[in#0 @ 0x1] [error] moov atom not found", "truncated"),
        ("[fatal] Stream map '' matches no streams.", "no_audio"),
        ("[asf @ 0x1] [error] DRM protected stream detected, decoding will likely fail!", "encrypted"),
        ("[aax @ 0x1] [fatal] activation_bytes option is missing!", "encrypted"),
        ("[in#0 @ 0x1] [error] Number of tracks exceeds max_streams (64)", "decoder_limits"),
        ("[error] Error while opening decoder: Cannot allocate memory", "decoder_limits"),
        ("[info] Exiting normally, received signal 24.", "decoder_limits"),
        ("[in#0 @ 0x1] [error] Format not on whitelist 'mp3,wav'", "not_media"),
        ("nothing at all", "not_media"),
    ],
)
def test_errors_become_codes(line: str, code: str) -> None:
    ending = "\n[error] Error opening input files: Invalid data found when processing input\n"
    assert report((line + ending).encode()).refusal(183).code == code


def test_the_cause_that_is_lost_in_other_errors_is_found() -> None:
    noise = b"[error] Error opening input: Invalid data found when processing input\n" * 1000
    assert report(noise + b"[in#0 @ 0x1] [error] moov atom not found\n" + noise).refusal(1).code == "truncated"


def test_a_refused_codec_is_named_only_if_it_is_the_audio_s() -> None:
    refused = report(FILM + b"[aac @ 0x1] [error] Codec (aac) not on whitelist 'mp3'\n").refusal(1)
    assert (refused.code, "aac" in refused.message) == ("unsupported_codec", True)
    assert report(FILM).refusal(0).code == "empty_audio"


@pytest.mark.parametrize(("number", "fatal"), [(24, True), (15, False)])
def test_a_signal_is_seen_even_if_audio_came_before_it(number: int, fatal: bool) -> None:
    made = report(FILM + b"[info] size= 10KiB\n[info] Exiting normally, received signal %d.\n" % number)
    assert made.stopped_by == number
    assert (made.fatal is not None) is fatal


def test_a_crash_of_the_decoder_is_the_file_s_fault() -> None:
    assert report(FILM).refusal(-11).code == "undecodable"


def test_a_line_without_end_is_not_kept() -> None:
    made = Report()
    for _ in range(100):
        made.feed(b"x" * 100_000)
    assert len(made._rest) <= 1000
    made.feed(b"\n" + FILM)
    assert made.media is not None
