"""What an address, a user name, a password and a name must look like, and when two spellings are one."""

import re
import unicodedata

from email_validator import EmailNotValidError, validate_email

from common.db.storable import storable

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
LONGEST_NAME = 100
LONGEST_COMPANY = 200

_USERNAME = re.compile(r"[^\W_](?:[^\W_]|[._-]){1,48}[^\W_]")
_TAG = re.compile(r"<[^<>]*>")
_NO_BRACKETS = str.maketrans("", "", "<>")


def email(text: str) -> str:
    """The address in NFC, its domain in lower case; raises ValueError saying what is wrong with it.

    It need not be reachable from here: an address such as ``ann@mail.internal`` is one.
    """
    try:
        found = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        msg = "is not an e-mail address"
        raise ValueError(msg) from None
    if "." not in found.domain:
        msg = "is not an e-mail address: its domain has no dot"
        raise ValueError(msg)
    return found.normalized


def username(text: str) -> str:
    """The user name in NFC; raises ValueError saying what is wrong with it.

    It has no ``@``, so that no user name is ever somebody's address.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not _USERNAME.fullmatch(name):
        msg = "must have 3 to 50 letters or digits, between them also '.', '_' and '-'"
        raise ValueError(msg)
    return name


def key(text: str) -> str:
    """What two spellings have in common that are one: width, composition and case do not count."""
    folded = unicodedata.normalize("NFKC", storable(text).strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def password(text: str) -> str:
    """The password as it is; raises ValueError saying what is missing."""
    if len(text) < SHORTEST_PASSWORD:
        msg = f"must have at least {SHORTEST_PASSWORD} characters"
    elif len(text) > LONGEST_PASSWORD:
        msg = f"may have at most {LONGEST_PASSWORD} characters"
    elif not any(character.isupper() for character in text):
        msg = "must have an upper-case letter"
    elif not any(character.islower() for character in text):
        msg = "must have a lower-case letter"
    elif not any(character.isdecimal() for character in text):
        msg = "must have a digit"
    else:
        return text
    raise ValueError(msg)


def plain(text: str | None, longest: int) -> str | None:
    """A name as a person wrote it, without tags, ``<``, ``>`` and control characters; None when nothing is left.

    Raises
    ------
    ValueError
        It is longer than ``longest`` characters.
    """
    if text is None:
        return None
    without = unicodedata.normalize("NFC", text)
    # A tag may be put around pieces of another one, which only then becomes one.
    while (stripped := _TAG.sub("", without)) != without:
        without = stripped
    without = without.translate(_NO_BRACKETS)
    shown = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in without).split())
    if len(shown) > longest:
        msg = f"may have at most {longest} characters"
        raise ValueError(msg)
    return shown or None
