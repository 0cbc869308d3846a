"""A whole platform in which every service has a link of its own to each server, with a faulty proxy in between."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire_local.kafka import Kafka
from scribewire_local.parts import SERVICES
from scribewire_local.ports import HOST, free_port
from scribewire_local.postgres import Postgres
from support.azurite import running_azurite
from support.fake_deepgram import FakeDeepgram
from support.fake_openai_chat import fake_chat
from support.faulty_proxy import FaultyProxy, Speaks, faulty_proxy
from support.fleet import KEY, Fleet, running_fleet
from support.history import History, check, observe, statuses_in
from support.lag import behind
from support.platform import folder_of, running_kafka, running_postgres
from support.promises import Tally
from support.receiver import Receiver
from support.receiver import receiver as hooks
from support.submits import Submits
from support.thread_loop import ThreadLoop
from support.verdict import ENDED
from support.waiting import until


class Link(NamedTuple):
    """One service's way to one server."""

    service: str
    server: str

    def __str__(self) -> str:
        return f"{self.service}×{self.server}"


LINKS = (
    *(Link(service, "kafka") for service in SERVICES),
    *(Link(service, "postgres") for service in ("gateway", "recorder", "notifier")),
    *(Link(service, "blobs") for service in ("gateway", "transcoder", "transcriber", "translator", "recorder")),
    Link("transcriber", "provider"),
    Link("translator", "provider"),
    Link("notifier", "webhook"),
)


def _quick(_call: object) -> float:
    return random.uniform(0.02, 0.2)


_SPEAKS: Mapping[str, Speaks] = {"kafka": "kafka", "postgres": "postgres"}


@dataclass
class Linked:
    """The platform, its links, and what everybody saw so far."""

    loop: ThreadLoop
    fleet: Fleet
    kafka: Kafka
    postgres: Postgres
    engine: FakeDeepgram
    receiver: Receiver
    proxies: dict[Link, FaultyProxy]
    _clients: list[Submits] = field(default_factory=list)
    _redelivered: int = 0

    @property
    def accepted(self) -> list[str]:
        """The jobs that any client had accepted so far."""
        return [job for client in self._clients for job in client.accepted.values()]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Show the services' logs when the block fails."""
        try:
            yield
        except BaseException:
            self.fleet.show_logs()
            raise

    def submits(self, name: str, *, seed: int, translate: int = 0) -> Submits:
        """A client of its gateway."""
        self._clients.append(client := Submits(self.fleet.urls[0], KEY, name, seed, translate))
        return client

    def ended(self, submits: Submits, *, seconds: float) -> None:
        """Wait until all that was accepted so far has ended and its ending was delivered.

        Raises
        ------
        AssertionError
            It was not within ``seconds``.
        """
        wanted, deadline = set(self.accepted), time.monotonic() + seconds

        def waiting() -> int:
            states = asyncio.run(statuses_in(self.postgres.dsn))
            return len(wanted - {job for job, state in states.items() if state in ENDED})

        until(lambda: not waiting(), seconds=seconds, every=0.5, why=f"every job of {submits.name} ends")
        until(
            lambda: len({hook.id for hook in list(self.receiver.received)}) >= len(wanted),
            seconds=max(5.0, deadline - time.monotonic()),
            why=f"every ending of {submits.name} is delivered",
        )

    def judged(self, tally: Tally) -> History:
        """Check and tally everything there is.

        Raises
        ------
        AssertionError
            The checker found something, or a job is not completed.
        """
        history = asyncio.run(observe(self.kafka.bootstrap, self.postgres.dsn, self.accepted, self.receiver.received))
        finding = check(history)
        tally.lost += finding.missing
        tally.duplicated += finding.doubled
        tally.redelivered += history.redelivered() - self._redelivered
        self._redelivered = history.redelivered()
        assert finding.clean, finding
        assert set(history.rows.values()) == {"completed"}, history.rows
        return history

    def settled(self, submits: Submits, tally: Tally, *, seconds: float) -> History:
        """Wait as `ended` does, then judge, also what did not end in time; raises as both do."""
        try:
            self.ended(submits, seconds=seconds)
        finally:
            history = self.judged(tally)
        return history

    def paid_twice(self) -> int:
        """Calls of the recogniser for audio that it had heard before."""
        return sum(number - 1 for number in self.engine.paid().values())

    def caught_up(self, *, seconds: float) -> None:
        """Wait until no group has anything left to read."""
        until(
            lambda: not asyncio.run(behind(self.kafka.bootstrap)),
            seconds=seconds,
            every=1.0,
            why="the lag of every group returns to 0",
        )


@contextmanager
def linked(loop: ThreadLoop, env: Mapping[str, str], *, azure: bool = True) -> Iterator[Linked]:
    """A platform inside the block; its blobs are in Azurite, or else in a folder and without links."""
    with ExitStack() as stack:
        engine = stack.enter_context(loop.entered(FakeDeepgram(latency=_quick)))
        chat = stack.enter_context(loop.entered(fake_chat()))
        receiver = stack.enter_context(loop.entered(hooks()))
        postgres = stack.enter_context(running_postgres())
        store = stack.enter_context(running_azurite()) if azure else None
        doors = {service: free_port() for service in SERVICES}
        addresses = {
            "postgres": postgres.dsn,
            "blobs": _blob_address(store or ""),
            "provider": engine.url,
            "webhook": receiver.url,
        }
        proxies = {}
        for link in LINKS:
            if link.server == "blobs" and store is None:
                continue
            address = f"tcp://{HOST}:{doors[link.service]}" if link.server == "kafka" else addresses[link.server]
            address = chat.url if link == Link("translator", "provider") else address
            made = faulty_proxy(address, speaks=_SPEAKS.get(link.server, "http"))
            proxies[link], addresses[str(link)] = stack.enter_context(loop.entered(made))
        doorways = {doors[link.service]: proxy.port for link, proxy in proxies.items() if link.server == "kafka"}
        kafka = stack.enter_context(running_kafka(port=(port := free_port()), properties=listeners(port, doorways)))
        own: dict[str, dict[str, str]] = {service: {} for service in SERVICES}
        for link in proxies:
            own[link.service] |= _setting(link, addresses[str(link)], store)
        common = {
            "DEEPGRAM_API_KEY": engine.key,
            "OPENAI_API_KEY": "secret-test-key",
            "SCRIBEWIRE_REUSE": "false",
            **({"SCRIBEWIRE_BLOBS": "azure"} if store else {}),
            **env,
        }
        folder = stack.enter_context(folder_of("fleet"))
        fleet = Fleet(folder, kafka=kafka.bootstrap, dsn=postgres.dsn, env=common, own=own)
        stack.enter_context(running_fleet(fleet))
        with Client(Gateway(fleet.urls[0], KEY)) as client:
            client.add_webhook(addresses["notifier×webhook"])
        yield Linked(loop, fleet, kafka, postgres, engine, receiver, proxies)


def listeners(port: int, doorways: Mapping[int, int]) -> dict[str, str]:
    """Kafka's properties for listening at more ports, each under the port that clients there are to come back to."""
    controller = free_port()
    names = {f"DOOR{door}": door for door in doorways}
    own = f"PLAINTEXT://{HOST}:{port}"
    return {
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": ",".join(
            [own, f"CONTROLLER://{HOST}:{controller}", *(f"{name}://{HOST}:{door}" for name, door in names.items())]
        ),
        "advertised.listeners": ",".join([own, *(f"{name}://{HOST}:{doorways[door]}" for name, door in names.items())]),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names)),
    }


def _setting(link: Link, address: str, store: str | None) -> dict[str, str]:
    """The setting by which a service finds a server."""
    match link:
        case Link(server="kafka"):
            return {"SCRIBEWIRE_KAFKA": urlsplit(address).netloc}
        case Link(server="postgres"):
            return {"DATABASE_URL": address}
        case Link(server="blobs") if store is not None:
            return {"AZURE_BLOB_CONNECTION": store.replace(_blob_address(store), address)}
        case Link("transcriber", "provider"):
            return {"DEEPGRAM_BASE_URL": address}
        case Link("translator", "provider"):
            return {"OPENAI_BASE_URL": address}
    return {}


def _blob_address(store: str) -> str:
    """The blob endpoint in a connection string."""
    return dict(part.partition("=")[::2] for part in store.split(";")).get("BlobEndpoint", "")
