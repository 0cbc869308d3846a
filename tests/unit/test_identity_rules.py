"""What is an address, a user name, a password and a name; and when two spellings are one."""

import pytest

from gateway.callers import Callers, neighbourhood
from gateway.identity import rules


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ann@Example.ORG", "Ann@example.org"),
        (" ann@example.org ", "ann@example.org"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
        ("ann@m\u00fcnchen.example", "ann@m\u00fcnchen.example"),
        ("ann@mail.internal", "ann@mail.internal"),
    ],
)
def test_an_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert rules.email(given) == kept


@pytest.mark.parametrize(
    "given", ["", "invalid-email", "@x.org", "a@", "a@b", "a b@x.org", "a@x..org", "a\n@x.org", "a@[127.0.0.1]"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        rules.email(given)


@pytest.mark.parametrize("given", ["ann", "ann.lee-2_x", "Ünal", "安娜李", "a" * 50])
def test_a_user_name(given: str) -> None:
    assert rules.username(given) == given


@pytest.mark.parametrize("given", ["", "ab", "a" * 51, "-ann", "ann.", "a nn", "a@b", "ann\u200b1", "ann\x00", "a/b/c"])
def test_what_is_no_user_name(given: str) -> None:
    with pytest.raises(ValueError, match="3 to 50"):
        rules.username(given)


def test_spellings_that_are_one() -> None:
    assert rules.key("Jos\u00e9") == rules.key("JOSE\u0301") == rules.key("\uff2aose\u0301 ")
    assert rules.key("STRASSE") == rules.key("straße")
    assert rules.key("ann") != rules.key("anna")
    assert rules.key("a\x00nn") == rules.key("ann")


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("Aa1aaaa", "at least 8"),
        ("A1" + "a" * 255, "at most 256"),
        ("aaaaaaa1", "upper-case"),
        ("AAAAAAA1", "lower-case"),
        ("Aaaaaaaa", "digit"),
    ],
)
def test_a_password_that_is_too_weak_says_why(given: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        rules.password(given)


@pytest.mark.parametrize("given", ["Aa1aaaaa", "A1" + "a" * 254, "Ünlü tümce 5"])
def test_a_password_that_will_do(given: str) -> None:
    assert rules.password(given) == given


def test_a_name_is_without_tags_and_control_characters() -> None:
    assert rules.plain(" Ann <script>alert(1)</script>\tLee\x00 ", 100) == "Ann alert(1) Lee"
    assert rules.plain("<b></b>", 100) is None
    assert rules.plain("<<b>script>alert(1)<</b>/script>", 100) == "alert(1)"
    assert rules.plain("<" * 300 + "b" + ">" * 300, 1000) is None
    assert rules.plain("I <3 him", 100) == "I 3 him"
    assert rules.plain(None, 100) is None
    with pytest.raises(ValueError, match="at most 3"):
        rules.plain("abcd", 3)


class Request:
    def __init__(self, remote: str, *forwarded: str) -> None:
        from multidict import CIMultiDict

        self.remote = remote
        self.headers = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("203.0.113.5", (), "203.0.113.5"),
        # Anybody may send the header: it is believed from our proxies only, and of it the part they wrote.
        ("203.0.113.5", ("1.2.3.4",), "203.0.113.5"),
        ("10.0.0.1", ("1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6, 1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6", "1.2.3.4, 10.0.0.2"), "1.2.3.4"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("::ffff:1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", (), "10.0.0.1"),
        # Some proxies write the port as well.
        ("10.0.0.1", ("1.2.3.4:5678",), "1.2.3.4"),
        ("10.0.0.1", ("1.2.3.4:5678, 10.0.0.2:443",), "1.2.3.4"),
        ("10.0.0.1", ("[2001:db8::1]:5678",), "2001:db8::1"),
        ("10.0.0.1", ("[2001:db8::1]",), "2001:db8::1"),
        ("10.0.0.1", ("2001:db8::1:5678",), "2001:db8::1:5678"),
        ("10.0.0.1", ("1.2.3.4:port",), "10.0.0.1"),
        ("10.0.0.1", ("[1.2.3.4",), "10.0.0.1"),
        ("", (), "unknown"),
    ],
)
def test_where_a_request_comes_from(remote: str, forwarded: tuple[str, ...], address: str) -> None:
    assert Callers(["10.0.0.0/8"]).address(Request(remote, *forwarded)) == address  # type: ignore[arg-type]


def test_a_network_of_version_6_is_one_caller() -> None:
    assert neighbourhood("2001:db8:1:2:3::4") == neighbourhood("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
