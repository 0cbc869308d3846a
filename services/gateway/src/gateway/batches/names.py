"""Which blobs a manifest may name: one's own drop area, and for an admin whatever is nobody else's."""

from common import layout
from common.blobs.names import check_name, check_prefix
from gateway.batches.item import BadLine
from gateway.principal import Principal

LONGEST = 1024


def drop_area(owner: str) -> str:
    """Prefix of the blobs that somebody put beside the platform, to be named in batches; erased with the account."""
    return f"users/{owner}/incoming/"


def blob_name(principal: Principal, given: str) -> str:
    """The whole name of a blob that a line names; raises `BadLine`.

    A user's names are relative to the drop area. An admin's are whole names, and may not lie in another's folder.
    """
    return _checked(principal, given, prefix=False)


def blob_prefix(principal: Principal, given: str) -> str:
    """The whole prefix for one that a request names, a user's drop area for an empty one; raises `BadLine`."""
    return _checked(principal, given, prefix=True)


def _checked(principal: Principal, given: str, *, prefix: bool) -> str:
    field = "prefix" if prefix else "blob"
    own = drop_area(principal.owner)
    name = given if principal.role == "admin" else f"{own}{given}"
    try:
        # Parts that begin with a dot are refused, so no name climbs out of its folder.
        (check_prefix if prefix else check_name)(name)
    except ValueError as error:
        raise BadLine(field, f"is not allowed: {error}") from None
    # Nothing is all of the own drop area; an admin would name everything there is.
    if prefix and not name.endswith("/"):
        raise BadLine(field, "must end in '/'")
    if name.startswith("users/") and not name.startswith(own):
        raise BadLine(field, f"must not lie in a folder of 'users/', save '{own}'")
    if name.startswith(layout.UPLOADS):
        raise BadLine(field, f"must not lie in '{layout.UPLOADS}', where unfinished uploads are")
    return name


def shown(principal: Principal, name: str) -> str:
    """The name as its owner gives it."""
    return name if principal.role == "admin" else name.removeprefix(drop_area(principal.owner))
