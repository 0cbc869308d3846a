"""Derived ids are version 5 UUIDs as the standard makes them."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from common.ids import derived


@given(st.uuids(), st.text())
def test_a_derived_id_is_the_standards_uuid5(namespace: UUID, name: str) -> None:
    assert derived(namespace, name) == uuid5(namespace, name)
