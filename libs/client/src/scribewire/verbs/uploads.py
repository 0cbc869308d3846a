"""Resumable uploads by tus 1.0: one streaming request, taken up where it broke off, also by another process."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import httpx

from scribewire.caller import BUSY, Backoff, Caller
from scribewire.errors import NotOffered, Problem, ScribewireError
from scribewire.flow import Flow, Pause, Request, Work
from scribewire.models import Job
from scribewire.signature import Signature
from scribewire.verbs.jobs import Sent, content, show, signature_of
from scribewire.verbs.unfinished import NOT_KEPT, Remembered, Unfinished

TUS = {"Tus-Resumable": "1.0.0"}
GONE = frozenset({404, 410})
AGAIN = BUSY | {408, 409, 423, 425, 460, 500, 502, 504}
"""Answers to a part after which the gateway is asked how much it has: it may just be busy, or have more or less."""
REFUSED = frozenset({400, 413, 415, 422})
"""Answers by which the gateway never wants this upload, however often it is taken up."""
MOST_STARTS = 3
UPLOAD_ID = re.compile(r"(?:^|/)([\w-]+)\Z", re.ASCII)
"""The last part of an upload's address."""
FINISHING = 1.0
"""Seconds after which an upload that was sent whole and is gone is looked for once more."""


class Upload:
    """One file on its way.

    Parameters
    ----------
    hold
        Keep the bytes for a later batch instead of making them a job.
    unfinished
        Where the upload's address is kept for another run; by default nowhere.
    """

    def __init__(
        self,
        caller: Caller,
        file: Path,
        options: Mapping[str, Any] | None,
        *,
        filename: str | None,
        hold: bool,
        sent: Sent,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._caller = caller
        self._file = file
        self._options = dict(options or {})
        self._filename = filename or file.name
        self._hold = hold
        self._sent = sent
        self._unfinished = unfinished or NOT_KEPT
        self._like = Signature(0, 0, 0, 0)
        self._size = 0
        self._path = ""
        self._reached = 0
        self._looked_again = False

    def job(self) -> Flow[Job]:
        """Upload and show the job it became; one that an earlier run uploaded whole and that goes on is shown."""
        yield from self._look()
        if (job := (yield from self._before())) is not None:
            return job
        answer = yield from self._whole()
        job_id = answer.headers.get("Scribewire-Job", "")
        if not job_id:
            raise ScribewireError("the gateway took the whole upload and did not say which job it became")
        yield Work(lambda: self._unfinished.keep(Remembered(self._path, self._size, str(self._like), job_id)))
        return (yield from show(self._caller, job_id))

    def held(self) -> Flow[str]:
        """Upload and give the id by which a batch can name it."""
        yield from self._look()
        yield from self._whole()
        yield Work(self._unfinished.forget)
        return self._path.rstrip("/").rpartition("/")[2]

    def _look(self) -> Flow[None]:
        """See which file it is: every byte must be of that one."""
        self._like = yield from signature_of(self._file)
        self._size = self._like.size

    def _find(self) -> Flow[Remembered | None]:
        remembered: Remembered | None = yield Work(self._unfinished.find)
        # The note was looked up for the file as it was a moment before.
        return remembered if remembered is not None and remembered.signature == str(self._like) else None

    def _before(self) -> Flow[Job | None]:
        remembered = yield from self._find()
        if remembered is None or not remembered.job:
            return None
        try:
            job = yield from show(self._caller, remembered.job)
        except Problem as problem:
            if problem.status not in GONE:
                raise
        else:
            if job["status"] not in {"failed", "cancelled", "deleted"}:
                return job
        yield Work(self._unfinished.forget)
        return None

    def _whole(self) -> Flow[httpx.Response]:
        remembered = yield from self._find()
        if remembered is not None:
            self._path = remembered.path
        for _ in range(MOST_STARTS):
            if not self._path:
                yield from self._create()
            if (answer := (yield from self._send_rest())) is not None:
                return answer
            # It expired, or was removed: from the beginning.
            self._path = ""
            yield Work(self._unfinished.forget)
        raise ScribewireError("the gateway forgets this upload each time it was begun")

    def _create(self) -> Flow[None]:
        fields = {
            "filename": self._filename,
            "filetype": guess_type(self._filename)[0] or "application/octet-stream",
            "options": json.dumps(self._options),
        }
        metadata = [f"{name} {b64encode(value.encode(errors='replace')).decode()}" for name, value in fields.items()]
        headers = {
            **TUS,
            "Upload-Length": str(self._size),
            "Upload-Metadata": ",".join([*metadata, "hold"] if self._hold else metadata),
        }
        # Sent again after a cut: an upload that nobody knows of is empty and expires.
        try:
            answer = yield from self._caller.send(Request(method="POST", path="/v1/uploads", headers=headers))
        except Problem as problem:
            if problem.status in {404, 405}:
                raise NotOffered("the gateway does not offer resumable uploads") from problem
            raise
        self._path = self._own(answer)
        yield Work(lambda: self._unfinished.keep(Remembered(self._path, self._size, str(self._like))))

    def _send_rest(self) -> Flow[httpx.Response | None]:
        """Send until everything is there: the answer that completed it; None when the gateway does not know it."""
        backoff = Backoff(self._caller.patience)
        furthest = -1
        self._reached, self._looked_again = 0, False
        while True:
            try:
                answer = yield from self._caller.send(Request(method="HEAD", path=self._path, headers=TUS))
            except Problem as problem:
                if problem.status in GONE:
                    if (yield from self._finishing()):
                        continue
                    return None
                # 423: the gateway has not noticed yet that the connection was cut, and still holds on to it.
                wait = backoff.next(problem.retry_after) if problem.status in AGAIN else None
                if wait is None:
                    raise
                yield Pause(wait)
                continue
            offset = _offset(answer)
            if offset >= self._size and (self._hold or "Scribewire-Job" in answer.headers):
                return answer
            if offset > furthest:
                furthest = offset
                backoff.begin_anew()
            self._tell(offset)
            failed: ScribewireError
            asked: float | None = None
            try:
                answer = yield from self._caller.once(self._part(offset))
            except httpx.TransportError as error:
                failed = self._caller.unreachable()
                failed.__cause__ = error
            else:
                if answer.is_success and _offset(answer) >= self._size:
                    return answer
                if answer.status_code in GONE:
                    if (yield from self._finishing()):
                        continue
                    return None
                failed = refusal = Problem.of(answer)
                asked = refusal.retry_after
                if answer.is_error and answer.status_code not in AGAIN and not (yield from self._renewed(answer)):
                    if answer.status_code in REFUSED:
                        yield Work(self._unfinished.forget)
                    raise refusal
            wait = backoff.next(asked)
            if wait is None:
                raise failed
            yield Pause(wait)

    def _finishing(self) -> Flow[bool]:
        # All of it was sent: another gateway may just be making the job of it. That is worth one more look.
        if self._reached < self._size or self._looked_again:
            return False
        self._looked_again = True
        yield Pause(FINISHING)
        return True

    def _tell(self, sent: int) -> None:
        self._reached = max(self._reached, sent)
        self._sent(sent)

    def _renewed(self, answer: httpx.Response) -> Flow[bool]:
        return answer.status_code == 401 and (yield from self._caller.renew(answer))

    def _part(self, offset: int) -> Request:
        headers = {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(self._size - offset),
            "Upload-Offset": str(offset),
        }
        body = content(self._file, self._tell, like=self._like, start=offset)
        return Request(method="PATCH", path=self._path, headers=headers, body=body)

    def _own(self, answer: httpx.Response) -> str:
        """The path of a new upload, always at the gateway that this client knows.

        Of the address only the id is taken: the gateway says it by the name under which the public finds it, which need
        not be the one that this client goes by, and another host would be sent the credential.
        """
        named = UPLOAD_ID.search(str(answer.headers.get("Location", "")))
        if named is None:
            raise ScribewireError("the gateway did not say by which id the upload goes on")
        return f"/v1/uploads/{named[1]}"


def _offset(answer: httpx.Response) -> int:
    text = str(answer.headers.get("Upload-Offset", ""))
    if not (text.isascii() and text.isdigit()):
        raise ScribewireError("the gateway does not say how much of the upload it has")
    return int(text)
