"""Lines of manifests become items, or are told of by field, in JSON and in CSV alike."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from common.crypt import Crypt
from common.options import JobOptions
from gateway.batches.intake import stretches
from gateway.batches.item import Item
from gateway.batches.lines import Line
from gateway.batches.maker import Maker
from gateway.batches.reader import CsvReader, JsonReader
from gateway.principal import SCOPES, Principal
from gateway.problems import UNSUPPORTED, Problem

CRYPT = Crypt([Fernet.generate_key().decode()])
ANN = Principal(owner="ann", via="key", scopes=SCOPES)
UPLOAD = "0b9d4f0e-5d0f-4c53-9d2f-5c1a3a0f6d01"
ADMIN = Principal(owner="operator", via="operator", role="admin", scopes=SCOPES)
URL = "https://media.example/a%20b.mp3?sig=s3cret#t"


def plan(options: JobOptions) -> None:
    if options.diarize:
        raise Problem(UNSUPPORTED, "no", errors=[("diarize", "nobody here can")])


def maker(principal: Principal = ANN, **defaults: Any) -> Maker:
    return Maker(principal, defaults={"priority": "bulk"} | defaults, plan=plan, crypt=CRYPT, allow_private=False)


def from_json(line: object, principal: Principal = ANN, **defaults: Any) -> Item:
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    item = JsonReader(maker(principal, **defaults)).read(Line(7, raw))
    assert item is not None
    return item


def from_csv(text: str, **defaults: Any) -> list[Item]:
    reader = CsvReader(maker(**defaults))
    found = [reader.read(Line(number, raw.encode())) for number, raw in enumerate(text.splitlines(), start=1)]
    assert found[0] is None
    return [item for item in found[1:] if item is not None]


def test_an_address_is_kept_encrypted_and_shown_without_what_may_be_secret() -> None:
    item = from_json({"url": URL, "reference": "r-1", "options": {"language": "de"}}, translate=["es"])
    assert (item.line, item.reference, item.kind, item.bad) == (7, "r-1", "url", False)
    assert item.shown == "https://media.example/a%20b.mp3"
    assert item.source is not None
    assert "s3cret" not in item.source
    assert CRYPT.decrypt(item.source) == URL
    assert item.options == {"priority": "bulk", "translate": ["es"], "language": "de"}


def test_an_upload_and_a_blob() -> None:
    assert from_json({"upload": UPLOAD.upper()}).source == UPLOAD
    blob = from_json({"blob": "talks/a.mp3"})
    assert (blob.source, blob.shown) == ("users/ann/incoming/talks/a.mp3", "talks/a.mp3")
    assert from_json({"blob": "shared/a.mp3"}, ADMIN).source == "shared/a.mp3"
    assert from_json({"blob": "users/operator/incoming/a"}, ADMIN).source == "users/operator/incoming/a"


@pytest.mark.parametrize(
    "name", ["../bob/incoming/a", "a/../../../bob/a", "/a", "a//b", "a\\..\\b", "./a", "a/.leases", "x" * 300, "a/"]
)
def test_no_name_climbs_out_of_the_drop_area(name: str) -> None:
    assert from_json({"blob": name}).field == "blob"


@pytest.mark.parametrize(
    "name", ["users/ann/incoming/a", "users/ann/originals/a", "users/operator/originals/a", "users/a"]
)
def test_an_admin_names_nothing_of_another_user(name: str) -> None:
    assert from_json({"blob": name}, ADMIN).field == "blob"


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (b"{", "line", "is not JSON in UTF-8"),
        (b"\xff\xfe{", "line", "is not JSON in UTF-8"),
        (b"[" * 16000, "line", "is not JSON in UTF-8"),
        (b'"url"', "line", "must be a JSON object"),
        (b"[]", "line", "must be a JSON object"),
        (b"{}", "line", "must name one of url, blob and upload"),
        ({"url": URL, "upload": "u"}, "line", "must name one of url, blob and upload, not several"),
        ({"url": "ftp://media.example/a"}, "url", "http"),
        ({"url": "http://127.0.0.1/a?sig=s3cret"}, "url", "public"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "public"),
        ({"url": 7}, "url", "must be text"),
        ({"url": "https://media.example/" + "x" * 2000}, "url", "may have at most 2000 characters"),
        ({"url": "https://media.example/" + "é" * 500}, "url", "percent-encoded"),
        ({"url": "https://media.example/\0"}, "url", "cannot be shown"),
        ({"blob": "a\0b"}, "blob", "cannot be shown"),
        ({"upload": "x" * 101}, "upload", "at most 100"),
        ({"upload": f"{{{UPLOAD}}}"}, "upload", "must be the id of an upload"),
        ({"url": URL, "reference": "x" * 201}, "reference", "at most 200"),
        ({"url": URL, "reference": "a\nb"}, "reference", "cannot be shown"),
        ({"url": URL, "reference": 1.5}, "reference", "must be text or a whole number"),
        ({"url": URL, "refrence": "x"}, "refrence", "is unknown; there are url"),
        ({"url": URL, "options": []}, "options", "is not valid"),
        ({"url": URL, "options": {"audio_format": "aiff"}}, "options.audio_format", "must be one of wav, mp3, ogg"),
        ({"url": URL, "options": {"lang": "de"}}, "options.lang", "is unknown; there are language"),
        ({"url": URL, "options": {"language": "german!"}}, "options.language", "language tag"),
        ({"url": URL, "options": {"model": "a\0"}}, "options.model", "cannot be shown"),
        ({"url": URL, "options": {"diarize": True}}, "options.diarize", "nobody here can"),
        ({"url": URL, "a\0b": 1}, "ab", "is unknown"),
        ({"url": URL, "\0": 1}, "line", "is unknown"),
        ({"url": URL, "options": {"a\0b": 1}}, "options.ab", "is unknown"),
        (b'{"url":"https://media.example/a","reference":' + b"9" * 4000 + b"}", "reference", "at most 200"),
    ],
)
def test_a_bad_line_names_its_field_and_quotes_no_secret(line: object, field: str, message: str) -> None:
    item = from_json(line)
    assert item.bad
    assert item.source is None
    assert item.field == field
    assert message in str(item.message)
    assert "s3cret" not in str(item.message)


def test_a_bad_line_keeps_its_reference() -> None:
    assert from_json({"reference": "row 9", "url": "nowhere"}).reference == "row 9"


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(raw: bytes) -> None:
    assert from_json(raw).bad
    reader = CsvReader(maker())
    assert reader.read(Line(1, b"url,reference")) is None
    assert reader.read(Line(2, raw)) is not None


def test_csv_takes_columns_of_options_and_options_as_json() -> None:
    items = from_csv(
        "\n".join(
            [
                "reference,URL,translate,keyterms,diarize,options",
                f'1,{URL},es,Kafka;Zoë,false,"{{""language"": ""de""}}"',
                f"2,{URL},es;fr,,,",
                "3,,,,,",
                f'4,"{URL},,,,',
                f"5,{URL},,,perhaps,",
                f"6,{URL},,,,,7",
                f"7,{URL},,,,[1]",
            ]
        ),
        language="en",
    )
    assert items[0].options == {
        "priority": "bulk",
        "language": "de",
        "translate": ["es"],
        "keyterms": ["Kafka", "Zoë"],
        "diarize": False,
    }
    assert items[1].options == {"priority": "bulk", "language": "en", "translate": ["es", "fr"]}
    assert [(item.reference, item.field, item.message) for item in items[2:]] == [
        ("3", "line", "must name one of url, blob and upload"),
        (None, "line", "has a quotation mark that is not closed, or not doubled, on this line"),
        ("5", "options.diarize", "must be true or false"),
        (None, "line", "has 7 values for 6 columns"),
        ("7", "options", "must be a JSON object"),
    ]


@pytest.mark.parametrize(
    ("cell", "field"),
    [
        ('{"a\\ud800b": 1}', "options"),
        ('{"a\\u0000b": 1}', "options.ab"),
        ('{"language": "a\\ud800"}', "options"),
        ('{"a": ' + "[" * 985 + "]" * 985 + "}", "options"),
        ('{"a": ' + "[" * 150 + "]" * 150 + "}", "options.a"),
    ],
)
def test_whatever_stands_in_a_cell_of_options_costs_its_line_alone(cell: str, field: str) -> None:
    quoted = cell.replace('"', '""')
    bad, good = from_csv(f'blob,options\na.mp3,"{quoted}"\nb.mp3,')
    assert (bad.field, good.bad) == (field, False)
    json.dumps([bad.field, bad.message]).encode()
    assert str(bad.field).isprintable()


def test_csv_lists_plug_ins() -> None:
    items = from_csv("blob,plugins\na,denoise;loudness\nb,denoise|loudness\nc,")
    assert [item.options and item.options.get("plugins") for item in items] == [
        ["denoise", "loudness"],
        ["denoise|loudness"],
        None,
    ]


def test_csv_as_spreadsheets_end_their_lines() -> None:
    items = from_csv("blob,reference,,\na.mp3,1,,\nb.mp3,2\nc.mp3,3, ,\nd.mp3,,,\ne.mp3,5,,x")
    assert [(item.source or "")[-5:] for item in items] == ["a.mp3", "b.mp3", "c.mp3", "d.mp3", ""]
    assert items[-1].message == "has 4 values for 2 columns"


def test_a_blob_that_is_found_has_a_name_that_a_line_could_have() -> None:
    assert maker().blob(1, "users/ann/incoming/a\u200cb.mp3").source == "users/ann/incoming/a\u200cb.mp3"
    for name in ("a\udcff.mp3", "a\\b.mp3", ".hidden/a.mp3", "x" * 300):
        item = maker().blob(3, f"users/ann/incoming/{name}")
        assert (item.bad, item.line, item.field, item.source) == (True, 3, "blob", None)
        assert (item.shown or "").encode() == name.replace("\udcff", "").encode()


def test_csv_as_other_countries_write_it() -> None:
    assert [item.source for item in from_csv("reference;blob;language\n1;a.mp3;de")] == ["users/ann/incoming/a.mp3"]
    assert [item.source for item in from_csv("reference\tblob\n1\ta.mp3")] == ["users/ann/incoming/a.mp3"]


@pytest.mark.parametrize("header", ["url,colour", "url,url", "reference,language", '"url', "\xff"])
def test_a_header_that_is_none_is_refused_whole(header: str) -> None:
    with pytest.raises(Problem) as caught:
        CsvReader(maker()).read(Line(1, header.encode("latin-1")))
    assert caught.value.document["errors"][0]["field"].startswith("header")


LINES = st.lists(
    st.sampled_from([b'{"blob":"b"}', b'{"blob":"a"}', b"{", b"", b"\xff", b'{"upload":"' + b"x" * 17000 + b'"}']),
    max_size=40,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
def test_a_manifest_is_the_same_however_it_comes(
    lines: list[bytes], newline: bytes, places: list[int], marked: bool
) -> None:
    body = (b"\xef\xbb\xbf" if marked else b"") + newline.join(lines)

    async def pieces(marks: list[int]) -> AsyncIterator[bytes]:
        for a, b in pairwise(marks):
            yield body[a:b]

    async def items(marks: list[int]) -> list[object]:
        return [found async for found in stretches(pieces(marks), JsonReader(maker()))]

    async def both() -> None:
        cuts = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
        assert await items(cuts) == await items([0, len(body)])

    asyncio.run(both())
