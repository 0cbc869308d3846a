"""One attempt over HTTP, signed as Standard Webhooks says; redirects are not followed and answers not read."""

import asyncio
from datetime import UTC, datetime

import aiohttp
from standardwebhooks.webhooks import Webhook

from common.crypt import Crypt, Undecipherable
from common.guard import Refused
from common.retry_after import retry_after
from common.webhook_secrets import opened
from notifier.ports import Delivery, Outcome


class HttpSender:
    """Posts deliveries.

    Parameters
    ----------
    session
        Its connector is guarded (`common.guard`), and it keeps no cookies.
    secret
        ``whsec_…`` for deliveries that have none of their own.
    crypt
        Decrypts the secrets of the others.
    seconds
        Longest wait for the head of an answer.
    """

    def __init__(self, *, session: aiohttp.ClientSession, secret: str, crypt: Crypt, seconds: float) -> None:
        self._session = session
        self._secret = secret
        self._crypt = crypt
        self._seconds = seconds

    async def send(self, delivery: Delivery) -> Outcome:
        """Sign and send; the signature's time is the attempt's, the id is the event's at every attempt."""
        try:
            own = delivery.secret
            headers = _signed(delivery, opened(self._crypt, own) if own else self._secret)
        except Undecipherable:
            # While keys are rotated the newest may not have reached this machine yet.
            return Outcome(None, "no key here decrypts the endpoint's secret")
        except ValueError:
            return Outcome(None, "the endpoint's secret is not a valid one")
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session.post(
                    delivery.url, data=delivery.body.encode(), headers=headers, allow_redirects=False
                ) as answer,
            ):
                status, asked = answer.status, answer.headers.get("Retry-After")
                # What it says further is not our business, however long it goes on.
                answer.close()
        except TimeoutError:
            return Outcome(None, f"no answer within {self._seconds:g} s")
        except aiohttp.ClientConnectorError as error:
            return Outcome(None, str(error.os_error) if isinstance(error.os_error, Refused) else "no connection")
        except aiohttp.ClientError:
            return Outcome(None, "the connection broke, or what answered was not HTTP")
        except ValueError:
            return Outcome(None, "the address is not a valid one")
        if 200 <= status < 300:
            return Outcome(status)
        error_text = f"a redirect ({status}) is not followed" if 300 <= status < 400 else f"answered {status}"
        return Outcome(status, error_text, retry_after(asked))


def _signed(delivery: Delivery, secret: str) -> dict[str, str]:
    at = datetime.now(UTC)
    message = str(delivery.event_id)
    return {
        "content-type": "application/json",
        "user-agent": "Scribewire-Webhooks/1",
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, at, delivery.body),
    }
