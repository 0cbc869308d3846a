"""Whether Kafka answers, for readiness."""

import asyncio
import contextlib

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

_SECONDS = 3.0


class Broker:
    """Asks Kafka for its metadata over a connection of its own.

    Parameters
    ----------
    bootstrap
        Kafka's address.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AIOKafkaClient | None = None
        self._one_at_a_time = asyncio.Lock()

    async def answers(self) -> bool:
        """Whether a broker answered just now."""
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
