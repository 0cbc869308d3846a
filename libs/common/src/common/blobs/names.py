"""Which blob names are allowed: the same in every store, so that no store's own rules show through."""

_PART_BYTES = 255
_NAME_BYTES = 1024


def check_name(name: str) -> str:
    """Return a blob's name unchanged.

    A name is parts joined by ``/``, each of 1 to 255 bytes of UTF-8 and not beginning with a dot (such names are the
    store's own), without NUL and backslash, 1,024 bytes in all.

    Raises
    ------
    ValueError
        The name breaks these rules; the message does not repeat it.
    """
    _check(name, name.split("/"))
    return name


def check_prefix(prefix: str) -> str:
    """Return a prefix of names unchanged; its last part may be empty or cut short, and all of it may be empty.

    Raises
    ------
    ValueError
        No allowed name can begin with it.
    """
    *parts, last = prefix.split("/")
    _check(prefix, [*parts, last] if last else parts)
    return prefix


def _check(text: str, parts: list[str]) -> None:
    try:
        sizes = [len(part.encode()) for part in parts]
        total = len(text.encode())
    except UnicodeEncodeError:
        msg = "a blob's name is Unicode text"
        raise ValueError(msg) from None
    if total > _NAME_BYTES or any(not 0 < size <= _PART_BYTES for size in sizes):
        msg = f"a blob's name is at most {_NAME_BYTES} bytes, in parts of 1 to {_PART_BYTES}"
        raise ValueError(msg)
    if any(part.startswith(".") for part in parts) or "\0" in text or "\\" in text:
        msg = "a blob's name has no part that begins with a dot, no NUL and no backslash"
        raise ValueError(msg)
