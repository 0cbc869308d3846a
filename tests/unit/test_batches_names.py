"""Which blobs a manifest may name."""

import pytest

from gateway.batches.item import BadLine
from gateway.batches.names import blob_name, blob_prefix
from gateway.principal import SCOPES, Principal

ANN = Principal(owner="ann", via="key", scopes=SCOPES)
ADMIN = Principal(owner="operator", via="operator", role="admin", scopes=SCOPES)


def test_an_admin_may_not_name_what_others_have_half_uploaded() -> None:
    assert blob_name(ADMIN, "archive/a.wav") == "archive/a.wav"
    with pytest.raises(BadLine):
        blob_name(ADMIN, "uploads/ann/0/bytes")
    for prefix in ("uploads/", "uploads/ann/"):
        with pytest.raises(BadLine):
            blob_prefix(ADMIN, prefix)


def test_nothing_is_all_of_a_users_drop_area_and_no_name_of_an_admin() -> None:
    assert blob_prefix(ANN, "") == "users/ann/incoming/"
    assert blob_prefix(ANN, "talks/") == "users/ann/incoming/talks/"
    for principal, prefix in ((ANN, "talks"), (ADMIN, "")):
        with pytest.raises(BadLine) as caught:
            blob_prefix(principal, prefix)
        assert caught.value.message == "must end in '/'"
