"""A job is made of its row anew whenever the row is another, and only then."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from gateway.rows import Rows

ROW: dict[str, Any] = {
    "id": UUID(int=1),
    "owner": "one",
    "status": "transcribing",
    "stage": "transcriber",
    "fraction": 0.25,
    "detail": "",
    "lane": "interactive",
    "filename": "talk.mp3",
    "content_type": None,
    "size": 5,
    "sha256": "0" * 64,
    "options": {},
    "media": {"codec": "mp3"},
    "duration": None,
    "language": None,
    "words": None,
    "segments": None,
    "provider": None,
    "model": None,
    "transcript_blob": None,
    "error_code": None,
    "error_message": None,
    "created_at": datetime.now(UTC),
    "updated_at": datetime.now(UTC),
    "finished_at": None,
    "reused_from": None,
    "address": None,
}


def test_a_row_as_it_was_is_the_job_it_was_and_one_that_differs_in_anything_is_not() -> None:
    other: dict[str, Any] = {
        **dict.fromkeys(ROW, "other"),
        "id": uuid4(),
        "owner": "two",
        "status": "completed",
        "lane": "bulk",
        "error_code": "internal",
        "fraction": 0.5,
        "size": 6,
        "duration": 1.0,
        "words": 1,
        "segments": 1,
        "reused_from": uuid4(),
        "created_at": datetime.now(UTC),
        "updated_at": datetime.now(UTC),
        "finished_at": datetime.now(UTC),
        "options": {"language": "de"},
        "media": {"codec": "aac"},
    }
    for column in ROW:
        rows = Rows()
        first = rows.read(ROW, [])
        assert rows.read(dict(ROW), []) is first
        assert rows.read({**ROW, column: other[column]}, []) is not first, column


def test_another_owner_is_never_given_the_job() -> None:
    rows = Rows()
    first = rows.read({**ROW, "filename": "secret.mp3"}, [])
    assert b"secret" in first.shown
    assert b"secret" not in rows.read({**ROW, "owner": "two"}, []).shown


def test_a_job_with_translations_is_made_anew_for_their_rows_change_alone() -> None:
    rows = Rows()
    row = {**ROW, "options": {"translate": ["de"]}}
    before = rows.read(row, [])
    translation = {"language": "de", "translator": "argos", "blob": "b", "error_code": None, "error_message": None}
    after = rows.read(row, [translation])
    assert [job.job.translations[0].status for job in (before, after)] == ["pending", "completed"]
    assert b'"completed"' in after.shown


def test_no_more_is_kept_than_fits_and_nothing_of_what_was_deleted() -> None:
    rows = Rows(most=2)
    ids = [uuid4() for _ in range(3)]
    made = [rows.read({**ROW, "id": job}, []) for job in ids]
    assert rows.read({**ROW, "id": ids[2]}, []) is made[2]
    assert rows.read({**ROW, "id": ids[1]}, []) is made[1]
    assert rows.read({**ROW, "id": ids[0]}, []) is not made[0]
    rows.forget(ids[2])
    assert rows.read({**ROW, "id": ids[2]}, []) is not made[2]
