"""One call through OpenAI's SDK: its time limit, and its errors in the house's words. Its users install the SDK."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import openai

from common.errors import StageError
from common.providers.failures import garbled, refused, too_slow, unreachable

_NAME = "OpenAI"


@asynccontextmanager
async def openai_call(limit: float, *, codes: Mapping[int, str] | None = None) -> AsyncIterator[None]:
    """Call within, with the SDK's own retries off.

    Parameters
    ----------
    limit
        Seconds for the whole call; the SDK's own time-out counts between two bytes only.
    codes
        Codes of a refusal by HTTP status, see `common.providers.failures.refused`.

    Raises
    ------
    Permanent
        OpenAI refuses the request.
    Transient
        It cannot be reached, is too slow, busy or broken, or refuses the key.
    """
    try:
        async with asyncio.timeout(limit):
            yield
    except (TimeoutError, openai.APITimeoutError):
        raise too_slow(_NAME, limit) from None
    except openai.APIStatusError as error:
        raise _refused(error, codes) from None
    except openai.APIConnectionError:
        raise unreachable(_NAME) from None
    except (openai.APIError, json.JSONDecodeError):
        raise garbled(_NAME) from None


def _refused(error: openai.APIStatusError, codes: Mapping[int, str] | None) -> StageError:
    body = error.body if isinstance(error.body, dict) else {}
    said = str(body.get("message") or error.code or error.type or "")
    spent = error.code == "insufficient_quota"
    return refused(_NAME, error.status_code, error.response.headers, said=said, spent=spent, codes=codes)
