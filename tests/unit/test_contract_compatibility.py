"""Each way to break the contract is found, and what only adds is not."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints, create_model

from common.compatibility import violations


class Ref(BaseModel):
    name: str
    size: int | None = None


class Tree(BaseModel):
    children: tuple["Tree", ...] = ()


OLD: dict[str, Any] = {
    "id": (int, ...),
    "text": (str, ""),
    "kind": (Literal["a", "b"], "a"),
    "one": (Literal["a"], "a"),
    "count": (Annotated[int, Field(ge=0, le=10)], 0),
    "short": (Annotated[str, StringConstraints(max_length=5, min_length=1, pattern="^a")], "a"),
    "maybe": (str | None, None),
    "ref": (Ref | None, None),
    "refs": (tuple[Ref, ...], ()),
    "media": (Mapping[str, int] | None, None),
    "tree": (Tree | None, None),
    "few": (Annotated[tuple[str, ...], Field(max_length=3)], ()),
}


def found(**changes: Any) -> list[str]:
    """Violations after changing fields of the old event; None takes a field away."""
    fields = {name: field for name, field in {**OLD, **changes}.items() if field is not None}
    old, new = create_model("Event", **OLD), create_model("Event", **fields)
    return violations(old.model_json_schema(), new.model_json_schema())


class RefLess(BaseModel):
    name: str


class RefMore(Ref):
    added: str | None = None


class RefNeeds(Ref):
    added: str


class RefFloat(BaseModel):
    name: float
    size: int | None = None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"added": (str | None, None)},
        {"added": (Ref | None, None)},
        {"added": (int, 3)},
        {"kind": (Literal["a", "b", "c"], "a")},
        {"one": (Literal["a", "b"], "a")},
        {"text": (str, "another default")},
        {"count": (Annotated[int, Field(ge=-1, le=11)], 0)},
        {"count": (int, 0)},
        {"few": (tuple[str, ...], ())},
        {"ref": (RefMore | None, None)},
        {"text": (Annotated[str, Field(description="described")], "")},
    ],
)
def test_what_only_adds(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"text": None}, "text: removed"),
        ({"id": None, "ident": (int, ...)}, "id: removed"),
        ({"added": (str, ...)}, "added: new, but required"),
        ({"text": (str, ...)}, "text: became required"),
        ({"id": (int, 0)}, "id: became optional, but readers expect it"),
        ({"id": (str, ...)}, "id: was integer, is string"),
        ({"id": (float, ...)}, "id: was integer, is number"),
        ({"id": (int | None, ...)}, "id: can now be null, which readers do not expect"),
        ({"maybe": (str, "")}, "maybe: can no longer be null"),
        ({"maybe": (int | None, None)}, "maybe: can no longer be string"),
        ({"kind": (Literal["a"], "a")}, "kind: can no longer be 'b'"),
        ({"kind": (str, "a")}, "kind: can now be any value, not only [\"'a'\", \"'b'\"]"),
        ({"one": (Literal["b"], "b")}, "one: can no longer be 'a'"),
        ({"text": (Literal[""], "")}, "text: can now only be one of [\"''\"]"),
        ({"count": (Annotated[int, Field(ge=1, le=10)], 1)}, "count: minimum rose from 0 to 1"),
        ({"count": (Annotated[int, Field(ge=0, le=9)], 1)}, "count: maximum fell from 10 to 9"),
        ({"id": (Annotated[int, Field(ge=0)], ...)}, "id: minimum rose from none to 0"),
        (
            {"short": (Annotated[str, StringConstraints(max_length=4, min_length=1, pattern="^a")], "a")},
            "short: maxLength fell from 5 to 4",
        ),
        (
            {"short": (Annotated[str, StringConstraints(max_length=5, min_length=1, pattern="^b")], "b")},
            "short: pattern changed from ^a to ^b",
        ),
        ({"few": (Annotated[tuple[str, ...], Field(max_length=2)], ())}, "few: maxItems fell from 3 to 2"),
        ({"few": (Annotated[tuple[int, ...], Field(max_length=3)], ())}, "few[]: was string, is integer"),
        ({"ref": (RefLess | None, None)}, "ref.size: removed"),
        ({"ref": (RefNeeds | None, None)}, "ref.added: new, but required"),
        ({"refs": (tuple[RefFloat, ...], ())}, "refs[].name: was string, is number"),
        ({"media": (Mapping[str, str] | None, None)}, "media{}: was integer, is string"),
    ],
)
def test_what_breaks(changes: dict[str, Any], problem: str) -> None:
    assert problem in found(**changes)


def test_a_type_that_holds_itself_is_compared_to_its_end() -> None:
    class Leaf(BaseModel):
        children: tuple["Leaf", ...] = ()
        name: str

    assert found(tree=(Leaf | None, None)) == [
        "tree.children[].name: new, but required",
        "tree.name: new, but required",
    ]
