"""The streamed ZIP: whatever its members and their chunks, an ordinary reader gets back what went in."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.blobs import BlobNotFound
from common.db.tables import metadata
from gateway.privacy.archive import Archive
from gateway.privacy.store import CLOSE, FORGET
from recorder.scratch import REPLACED

AT = datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)


async def chunked(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def packed(members: Iterable[tuple[str, list[bytes] | str]]) -> bytes:
    made = []
    with Archive() as archive:
        for name, content in members:
            if isinstance(content, str):
                archive.text(name, content, modified=AT)
            else:
                made += [chunk async for chunk in archive.member(name, chunked(content), modified=AT)]
        return b"".join([*made, archive.end()])


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0/\\:"), min_size=1, max_size=20),
        st.lists(st.binary(max_size=2000), max_size=5) | st.text(max_size=500),
        max_size=6,
    )
)
def test_what_went_in_comes_out(members: dict[str, list[bytes] | str]) -> None:
    file = zipfile.ZipFile(io.BytesIO(asyncio.run(packed(members.items()))))
    assert file.testzip() is None
    assert file.namelist() == list(members)
    for name, content in members.items():
        assert file.read(name) == (content.encode() if isinstance(content, str) else b"".join(content))


async def test_a_large_member_is_given_while_it_is_made() -> None:
    megabyte, given, held = bytes(1 << 20), 0, 0
    with Archive() as archive:
        async for chunk in archive.member("big", chunked([megabyte] * 64), modified=AT):
            given, held = given + len(chunk), max(held, len(chunk))
    assert given > 64 * len(megabyte)
    assert held < 2 * len(megabyte)


async def test_a_member_that_is_not_there_leaves_the_file_whole() -> None:
    async def gone() -> AsyncIterator[bytes]:
        raise BlobNotFound
        yield b""

    with Archive() as archive:
        archive.text("a.txt", "a", modified=AT)
        with pytest.raises(BlobNotFound):
            async for _ in archive.member("b.wav", gone(), modified=AT):
                pass
        archive.text("c.txt", "c", modified=AT)
        assert zipfile.ZipFile(io.BytesIO(archive.end())).namelist() == ["a.txt", "c.txt"]


async def test_a_file_left_in_the_middle_of_a_member_is_let_go_quietly() -> None:
    with Archive() as archive:
        member = archive.member("big", chunked([bytes(1 << 20)] * 3), modified=AT)
        await anext(member)
        await member.aclose()


RECORDERS = {*REPLACED, "erased_jobs", "erased_accounts", "webhook_deliveries"}
"""Tables of which the recorder takes what belonged to an account."""


def test_every_table_that_names_an_owner_is_emptied_by_somebody() -> None:
    named = {
        table.name
        for table in metadata.sorted_tables
        if {"owner", "account_id", "actor", "email"} & {column.name for column in table.columns}
    }
    with_accounts = {
        table.name
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "accounts" and key.ondelete == "CASCADE"
    }
    assert named <= CLOSE.keys() | FORGET.keys() | with_accounts | RECORDERS
