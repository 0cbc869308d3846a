"""Names that clients send are made harmless."""

import pytest

from gateway.filenames import LONGEST, sanitise


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("", None),
        ("..", None),
        ("../../", None),
        ("talk.mp3", "talk.mp3"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\me\\talk.mp3", "talk.mp3"),
        ("/absolute/talk.mp3", "talk.mp3"),
        ("ta\0lk.mp3", "talk.mp3"),
        ("ta\r\nlk.mp3", "talk.mp3"),
        ("talk\u202e3pm.exe", "talk3pm.exe"),
        ("\u2066\u200ftalk.mp3\u2069", "talk.mp3"),
        ('a<b>c:d"e|f?g*.mp3', "a_b_c_d_e_f_g_.mp3"),
        ("  talk.mp3. ", "talk.mp3"),
        (".hidden", "hidden"),
        ("Übung №1.wav", "Übung №1.wav"),
        ("U\u0308bung.wav", "Übung.wav"),
        ("lone\udc80.wav", "lone.wav"),
        ("می\u200cخواهم.wav", "می\u200cخواهم.wav"),
        ("\u200d\u200c", None),
    ],
)
def test_names_are_made_harmless(given: str | None, kept: str | None) -> None:
    assert sanitise(given) == kept


def test_a_long_name_keeps_its_extension() -> None:
    assert sanitise("x" * 300 + ".mp3") == "x" * (LONGEST - 4) + ".mp3"
    assert sanitise("x" * 300) == "x" * LONGEST
    assert sanitise("x." + "y" * 300) == "x." + "y" * (LONGEST - 2)
