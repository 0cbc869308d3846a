"""The manifest a transcoder writes once a job's audio is cut; `count` segments follow from it."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue

from common.options import JobOptions
from common.places import Place


class Piece(BaseModel):
    """One segment: its place in the recording in seconds, and the name and size of its audio blob.

    ``places`` says where something was left out of it, see `common.places`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    start: float
    end: float
    audio: str
    size: int
    places: tuple[Place, ...] = ()


class Manifest(BaseModel):
    """What was found in a job's media and how it was cut; written once, before any `segment.ready`.

    ``options`` are those that recognition goes by, which plug-ins may have changed; ``settings`` are what plug-ins left
    for when they get the text. ``copied_from`` is the job whose results were copied instead: the
    pieces, and their audio, are that job's then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: float
    media: Mapping[str, str | int | float]
    provider: str
    options: JobOptions
    pieces: tuple[Piece, ...]
    copied_from: UUID | None = None
    settings: Mapping[str, JsonValue] = {}
