"""What a route is, and how a handler reads what was validated for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel

from gateway.principal import Scope

QUERY = web.RequestKey("query", BaseModel)
"""The validated query of a request whose route has one."""

BODY = web.RequestKey("body", BaseModel)
"""The validated JSON body of a request whose route has one."""

Model = TypeVar("Model", bound=BaseModel)


def query_of(request: web.Request, model: type[Model]) -> Model:
    """The validated query; ``model`` is the one the route names."""
    return cast("Model", request[QUERY])


def body_of(request: web.Request, model: type[Model]) -> Model:
    """The validated JSON body; ``model`` is the one the route names."""
    return cast("Model", request[BODY])


Entry = Literal["key", "open", "loopback"]
"""Who comes in: who is known; anyone; anyone on this machine, and from elsewhere who is known."""


@dataclass(frozen=True)
class Answer:
    """One successful answer: what it says, its JSON model or the media types it may have, its headers."""

    says: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address: how it is called, what it takes and answers, and which problems it may answer with."""

    operation: str
    method: str
    path: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    """Of a JSON body; with ``upload``, what a JSON body is read into instead of being a file."""
    upload: bool = False
    takes: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    """Media types of a body that the handler reads itself, as it streams in, with the model of those that are JSON; it
    reads the query then as well."""
    binary: str | None = None
    """Media type of a body that is taken as bytes; it may be left out."""
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    """What may stand in the path in place of an id."""
    door: Entry = "key"
    scope: Scope | None = None
    """What a key must be allowed to do; None where every known caller may."""
    audit: str | None = None
    """What the audit log calls it when it succeeded; None for what reads, or writes its line itself."""
