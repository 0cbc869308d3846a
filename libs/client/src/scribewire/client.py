"""The Python client, blocking and asynchronous, with the same verbs."""

from scribewire.aio.batches import AsyncBatches
from scribewire.aio.jobs import AsyncJobs
from scribewire.aio.people import AsyncPeople
from scribewire.blocking.batches import Batches
from scribewire.blocking.jobs import Jobs
from scribewire.blocking.people import People
from scribewire.models import TERMINAL, Job

__all__ = ["TERMINAL", "AsyncClient", "Client", "Job"]


class Client(Jobs, Batches, People):
    """A connection to one gateway, from any number of threads; use it as a context manager.

    Parameters
    ----------
    gateway
        Address and key or login; by default what `scribewire.config.discover` finds.
    patience
        Seconds for which a gateway that went away, or answers 503 or 429, is asked again. One that was never reached
        is given up at once: it does not run, or its address is wrong.
    """


class AsyncClient(AsyncJobs, AsyncBatches, AsyncPeople):
    """The same from an event loop (asyncio or trio); use it as an asynchronous context manager."""
