"""How one client calls its gateway: with whose credential, how patiently, and what is sent again."""

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import httpx

from scribewire.errors import LoggedOut, Problem, Unreachable
from scribewire.flow import Flow, Pause, Request, Work

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
REFUSED = frozenset({429})
"""What the gateway answers before it has done anything: any request may be sent again."""
BUSY = REFUSED | {503}
"""Answers after which a request that is repeatable is sent again; a 503 can also come of an answer that was lost on
its way inside the platform."""
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors after which nothing was done, as nothing was sent."""


class Credential(Protocol):
    """What shows who calls."""

    def token(self) -> str:
        """What is sent as ``Authorization: Bearer``; empty for nobody."""
        ...

    def expiring(self) -> bool:
        """Whether the token should be renewed before it is used again."""
        ...

    def renew(self, used: str) -> bool:
        """Get a token other than the one that was used; blocks. False where a credential cannot be renewed.

        Raises
        ------
        LoggedOut
            When the login has ended.
        """
        ...


class ApiKey:
    """A key: as good as it is."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token(self) -> str:
        """The key."""
        return self._key

    def expiring(self) -> bool:
        """Never."""
        return False

    def renew(self, used: str) -> bool:
        """Never."""
        return False


class Backoff:
    """Growing, jittered pauses until patience is out."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._until = time.monotonic() + patience
        self._pause = FIRST_PAUSE

    def next(self, asked: float | None = None) -> float | None:
        """Seconds to wait before another try; None when there should be none.

        Parameters
        ----------
        asked
            The wait the other side asked for; 0 leaves it to us. One that ends after our patience is not begun.
        """
        left = self._until - time.monotonic()
        if left < 0 or (asked or 0.0) > left:
            return None
        wait = asked or min(self._pause * random.uniform(0.8, 1.2), left)  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return wait

    def begin_anew(self) -> None:
        """Something went forward: patience begins anew."""
        self._until = time.monotonic() + self._patience
        self._pause = FIRST_PAUSE


class Caller:
    """Sends requests for one client.

    Parameters
    ----------
    url
        Of the gateway, for messages.
    patience
        Seconds for which a gateway that is away or busy is asked again.
    """

    def __init__(self, url: str, credential: Credential, patience: float) -> None:
        self.url = url
        self.credential = credential
        self.patience = patience
        self._reached = False

    def send(self, request: Request) -> Flow[httpx.Response]:
        """Send until answered for good.

        After the wait that the answer names it is sent again: on 429 in any case, on 503 and after a cut only where it
        is repeatable. A 401 renews the login once. A gateway that was never reached is given up at once: it does not
        run, or its address is wrong.

        Raises
        ------
        Problem
            When the gateway refuses; `Unreachable` when it does not answer, `LoggedOut` when the login has ended.
        """
        backoff = Backoff(self.patience)
        renewed = cut = False
        while True:
            try:
                response = yield from self.once(request)
            except httpx.TransportError as error:
                wait = backoff.next() if self._may_repeat(request, error) else None
                if wait is None:
                    raise self.unreachable() from error
                cut = cut or not isinstance(error, NOT_SENT)
                yield Pause(wait)
                continue
            if not response.is_error:
                return response
            problem = Problem.of(response)
            done = cut and problem.status in request.done
            # Who can renew the login is somebody still.
            try:
                if problem.status == 401 and not renewed and (yield from self.renew(response)):
                    renewed = True
                    continue
            except LoggedOut:
                if not done:
                    raise
            if done:
                return response
            again = BUSY if request.repeatable else REFUSED
            wait = backoff.next(problem.retry_after) if problem.status in again else None
            if wait is None:
                raise problem
            yield Pause(wait)

    def once(self, request: Request) -> Flow[httpx.Response]:
        """Send one time, whatever comes back; a transport error passes through."""
        if request.known:
            request = replace(request, headers={**request.headers, **(yield from self.shown())})
        response: httpx.Response = yield request
        self._reached = True
        return response

    def shown(self) -> Flow[Mapping[str, str]]:
        """The header that shows who calls, renewed where it is about to expire."""
        if self.credential.expiring():
            used = self.credential.token()
            yield Work(lambda: self.credential.renew(used))
        token = self.credential.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def renew(self, refused: httpx.Response) -> Flow[bool]:
        """Renew the token that was refused; False where it cannot be."""
        used = refused.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not used:
            return False
        renewed: bool = yield Work(lambda: self.credential.renew(used))
        return renewed

    def unreachable(self) -> Unreachable:
        """What to tell of a gateway that does not answer."""
        return Unreachable(f"no gateway answers at {self.url}")

    def _may_repeat(self, request: Request, error: httpx.TransportError) -> bool:
        if isinstance(error, httpx.ConnectError):
            return self._reached
        return request.repeatable or isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout))


def json_of(response: httpx.Response) -> Any:
    """The JSON document of a successful answer; a `Problem` where it is none, such as a page of some proxy."""
    try:
        return response.json()
    except ValueError:
        title = f"what answers at {response.request.url.host} is not a Scribewire gateway"
        raise Problem(response.status_code, {"title": title}) from None
