"""What is done with one file of a watched folder: submit it once, and write what became of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from scribewire.client import Client
from scribewire.errors import FileChanged, JobFailed, Problem, ScribewireError
from scribewire.folders import replace_file
from scribewire.models import TERMINAL
from scribewire.signature import Signature
from scribewire.source import Source
from scribewire.submitting import BIG, failure, fetch, send
from scribewire.verbs.unfinished import Unfinished, unfinished
from scribewire.watching.memory import Memory, Open
from scribewire.watching.writers import being_written

Kind = Literal["submitted", "same", "completed", "failed", "refused", "waiting"]
Say = Callable[[Kind, Path, str], None]
"""Told, from any thread, what happened to which file: the job or the reason."""

REFUSED = frozenset({400, 413, 415, 422})
"""Answers by which a file as it is will never be taken."""

FOR_NOTHING = TERMINAL - {"completed"}
"""Where a job ends of which there is no transcript."""

MOST_DELETED = 20
"""Jobs with the same content, deleted and unknown here, that are passed by in one go."""


class Submit:
    """Submits files, each content once.

    The Idempotency-Key comes from the content, so a submit whose answer was never seen, as by a crash, is repeated
    without making a second job; an upload in parts is taken up where it was. It also comes from the number of earlier
    jobs that came to nothing, so a file that is touched after its job failed or was deleted gets another one.
    """

    def __init__(self, client: Client, memory: Memory, options: Mapping[str, Any], say: Say) -> None:
        self._client = client
        self._memory = memory
        self._options = options
        self._say = say

    def __call__(self, path: Path, signature: Signature) -> bool:
        """Submit a file and remember it; False when the gateway refused it.

        Raises
        ------
        FileChanged
            When it is being written to, or open for that; OSError when it cannot be read, `ScribewireError` when the
            gateway is away.
        """
        if being_written(path):
            raise FileChanged("a program has the file open and may still be writing to it")
        key = self._key(path)
        if Signature.of(path.stat()) != signature:
            raise FileChanged
        if (job := self._same(key)) is not None:
            self._memory.keep(path, signature, key, "submitted", job)
            self._say("same", path, job)
            return True
        try:
            with self._resumable(path, signature) as upload:
                job = self._send(path, upload, key)
                self._memory.keep(path, signature, key, "submitted", job)
                if upload is not None:
                    # Not before the job is kept: whoever is killed in between would upload all of it again.
                    upload.forget()
        except Problem as problem:
            if problem.status not in REFUSED:
                raise
            self._memory.keep(path, signature, "", "refused", None)
            self._say("refused", path, str(problem))
            return False
        self._say("submitted", path, job)
        return True

    def _same(self, key: str) -> str | None:
        """A job with the same content and options that there is still something to expect of."""
        while (job := self._memory.same(key)) is not None and self._came_to_nothing(job):
            self._memory.lost(key, job)
        return job

    def _came_to_nothing(self, job: str) -> bool:
        try:
            return self._client.job(job)["status"] in FOR_NOTHING
        except Problem as problem:
            # A key may be allowed to submit and not to read.
            if problem.status not in {403, 404}:
                raise
            return problem.status == 404

    def _send(self, path: Path, upload: Unfinished | None, key: str) -> str:
        for _ in range(MOST_DELETED):
            before = self._memory.attempts(key)
            named = f"{key}-{before}" if before else key
            try:
                job = send(self._client, Source(path), self._options, memory=upload, idempotency_key=named)
            except Problem as problem:
                if problem.kind != "job-deleted":
                    raise
                refused = problem
            else:
                return job["id"]
            # Counted by its number, as nobody knows its id: once, whoever else finds the same.
            self._memory.lost(key, f"deleted-{before}")
        raise refused

    def _resumable(self, path: Path, signature: Signature) -> AbstractContextManager[Unfinished | None]:
        if signature.size < BIG:
            return nullcontext()
        return unfinished(self._client.gateway.url, path, self._options)

    def _key(self, path: Path) -> str:
        digest = sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        options = sha256(repr(sorted(self._options.items())).encode()).hexdigest()
        return f"watch-{digest.hexdigest()}-{options[:16]}"


class Collect:
    """Writes the transcripts of jobs that ended, each beside the others as its recording is."""

    def __init__(self, client: Client, memory: Memory, *, folder: Path, output: Path, suffix: str, say: Say) -> None:
        self._client = client
        self._memory = memory
        self._folder = folder
        self._output = output
        self._suffix = suffix
        self._say = say

    def __call__(self, entry: Open) -> bool:
        """Look at a job and write what is there; False when it has no transcript."""
        error: ScribewireError | None = None
        try:
            job = self._client.job(entry.job)
        except Problem as problem:
            if problem.status != 404:
                raise
            error = ScribewireError("the job is gone")
        else:
            if job["status"] not in TERMINAL:
                return True
            if job["status"] != "completed":
                error = failure(job)
        if error is None:
            for suffix, content in fetch(self._client, job, self._suffix):
                if isinstance(content, JobFailed):
                    error = content
                else:
                    self._say("completed", entry.path, str(self._write(entry.path, suffix, content)))
        self._memory.ended(entry.path, "failed" if error else "completed")
        if error is not None:
            self._say("failed", entry.path, str(error))
        return error is None

    def _write(self, source: Path, suffix: str, content: bytes) -> Path:
        try:
            folder = self._output / source.parent.relative_to(self._folder)
        except ValueError:
            # Remembered from when the folder had another name.
            folder = self._output
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{source.name}.{suffix}"
        replace_file(target, content)
        return target
