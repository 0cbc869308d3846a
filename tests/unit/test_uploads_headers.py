"""What the headers of tus may hold, and what is a problem of the client's."""

from types import SimpleNamespace

import pytest

from gateway.problems import Problem
from gateway.uploads.headers import concat, metadata

NO_UTF_8 = b"final;/v1/uploads/\xff".decode("utf-8", "surrogateescape")


def test_bytes_that_are_no_ascii_are_malformed() -> None:
    with pytest.raises(Problem, match="ASCII") as refused:
        metadata(b"file\xff YQ==".decode("utf-8", "surrogateescape"))
    assert refused.value.kind.status == 400
    with pytest.raises(Problem, match="ASCII") as refused:
        concat(SimpleNamespace(headers={"Upload-Concat": NO_UTF_8}))  # type: ignore[arg-type]
    assert refused.value.kind.status == 400
