"""How the secret of a webhook lies in PostgreSQL: encrypted, behind a mark.

A notifier of a release before this one takes what it finds for base64 and would sign with whatever comes out of it. The
mark is no ASCII, which it refuses: it tries again later, and so leaves the delivery to one that can read it. Secrets
that an earlier gateway wrote lie there in clear until `python -m common.encryption rotate` has encrypted them.
"""

from common.crypt import Crypt

MARK = "§"


def sealed(crypt: Crypt, secret: str) -> str:
    """The secret as it is to be stored."""
    return MARK + crypt.encrypt(secret)


def opened(crypt: Crypt, stored: str) -> str:
    """The secret of what is stored; raises `common.crypt.Undecipherable`."""
    return crypt.decrypt(stored.removeprefix(MARK)) if stored.startswith(MARK) else stored
