"""Names of blobs: one layout for the folder and for Azure; nothing a user sent is part of a name."""

import re
from uuid import UUID

UPLOADS = "uploads/"
"""Prefix of what is known of every upload in several requests; short-lived, so apart from what stays."""


def _checked(owner: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", owner):
        msg = "an owner id is made of letters, digits, - and _"
        raise ValueError(msg)
    return owner


def _folder(owner: str) -> str:
    return f"users/{_checked(owner)}"


def owner_prefixes(owner: str) -> tuple[str, ...]:
    """Every prefix under which an owner's blobs lie; erasing an account erases these."""
    return (f"{_folder(owner)}/", f"{UPLOADS}{owner}/")


def job_prefixes(owner: str, job: UUID) -> tuple[str, ...]:
    """Every prefix under which a job's blobs lie; erasing a job erases these."""
    stays = tuple(f"{_folder(owner)}/{part}/{job}/" for part in ("originals", "audio", "transcripts"))
    return (*stays, upload(owner, job))


def upload(owner: str, job: UUID) -> str:
    """Prefix of what is known of an upload in several requests, by the job that it becomes."""
    return f"{UPLOADS}{_checked(owner)}/{job}/"


def uploads_of(owner: str) -> str:
    """Prefix of what is known of all of an owner's uploads in several requests."""
    return f"{UPLOADS}{_checked(owner)}/"


def uploaded(owner: str, job: UUID) -> str:
    """The bytes of a job as they came in several requests; they have this name before their hash is known."""
    return f"{_folder(owner)}/originals/{job}/upload"


def original(owner: str, job: UUID, sha256: str) -> str:
    """The bytes as they were sent; the hash in the name keeps a second body under one key from the first."""
    return f"{_folder(owner)}/originals/{job}/{sha256}"


def address(owner: str, job: UUID, sha256: str) -> str:
    """A `common.address.Address` as JSON: where the bytes are to be fetched from; its own hash is in the name."""
    return f"{_folder(owner)}/originals/{job}/url.{sha256}.json"


def dropped(owner: str, job: UUID, sha256: str) -> str:
    """A `common.drop.Drop` as JSON: which blob is to be copied; named after its own hash, likewise."""
    return f"{_folder(owner)}/originals/{job}/{sha256}.blob.json"


def fetched(owner: str, job: UUID) -> str:
    """Which bytes were fetched from a job's address, a `common.address.Fetched` as JSON: there is only one answer."""
    return f"{_folder(owner)}/originals/{job}/fetched.json"


def originals(owner: str, job: UUID) -> str:
    """Prefix of every body that was sent under a job's id."""
    return f"{_folder(owner)}/originals/{job}/"


def originals_of(owner: str) -> str:
    """Prefix of every body an owner sent."""
    return f"{_folder(owner)}/originals/"


def manifest(owner: str, job: UUID) -> str:
    """The transcoder's `common.manifest.Manifest` of a job."""
    return f"{_folder(owner)}/audio/{job}/manifest.json"


def segment_audio(owner: str, job: UUID, index: int) -> str:
    """A segment's 16 kHz mono 16-bit WAV."""
    return f"{_folder(owner)}/audio/{job}/{index:05d}.wav"


def stored_audio(owner: str, job: UUID, ending: str) -> str:
    """A job's whole audio as it was asked for by `common.options.JobOptions.audio_format`."""
    return f"{_folder(owner)}/audio/{job}/audio.{ending}"


def segment_result(owner: str, job: UUID, index: int) -> str:
    """A segment's result, a `common.transcript.SegmentResult` as JSON."""
    return f"{_folder(owner)}/transcripts/{job}/segments/{index:05d}.json"


def transcript(owner: str, job: UUID) -> str:
    """A job's `common.transcript.Transcript` as JSON."""
    return f"{_folder(owner)}/transcripts/{job}/transcript.json"


def translation(owner: str, job: UUID, language: str) -> str:
    """A job's `common.transcript.Translation` into one language as JSON."""
    return f"{_folder(owner)}/transcripts/{job}/translation.{language}.json"


def translation_part(owner: str, job: UUID, language: str, index: int) -> str:
    """A stretch of a long transcript in one language; paid for once, even if the rest must be tried again."""
    return f"{_folder(owner)}/transcripts/{job}/parts.{language}/{index:05d}.json"
