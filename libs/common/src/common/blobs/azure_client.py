"""How this house talks to Azure Blob Storage: short time-outs, few retries, a container made when missing."""

from contextlib import suppress

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import ContainerClient, LinearRetry

_MIB = 1024 * 1024


def container_client(connection: str, container: str) -> ContainerClient:
    """Make a client; it connects with its first call.

    Raises
    ------
    ValueError
        The connection string is not one.
    """
    return ContainerClient.from_connection_string(
        connection,
        container,
        # The default tries for a minute; a heartbeat cannot wait so long, and the bus has its own, better schedule.
        retry_policy=LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
        connection_timeout=5,
        read_timeout=60,
        max_single_get_size=4 * _MIB,
        max_chunk_get_size=4 * _MIB,
        max_single_put_size=16 * _MIB,
    )


async def make_container(client: ContainerClient) -> None:
    """Make the container unless it is there, we may not, or the service is down: later calls say so."""
    with suppress(AzureError):
        await client.create_container()
