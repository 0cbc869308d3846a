"""Whether Kafka answers, for readiness."""

import asyncio
import contextlib
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

_SECONDS = 3.0


class Broker:
    """Asks Kafka for its metadata over a connection of its own.

    Parameters
    ----------
    bootstrap
        Kafka's address.
    control_read
        Whether all that users said about jobs was read: before that, a deleted job might be shown.
    """

    def __init__(self, bootstrap: str, *, control_read: Callable[[], bool]) -> None:
        self._bootstrap = bootstrap
        self._control_read = control_read
        self._client: AIOKafkaClient | None = None
        self._one_at_a_time = asyncio.Lock()

    async def answers(self) -> bool:
        """Whether a broker answered just now, and the control log was read."""
        if not self._control_read():
            return False
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(_SECONDS):
                    if self._client is None:
                        client = AIOKafkaClient(bootstrap_servers=self._bootstrap, client_id="gateway-readyz")
                        await client.bootstrap()
                        self._client = client
                    return bool(await self._client.force_metadata_update())
            except (KafkaError, OSError, TimeoutError):
                await self.close()
                return False

    async def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(KafkaError, OSError):
                await client.close()
