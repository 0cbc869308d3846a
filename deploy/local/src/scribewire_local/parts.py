"""Which parts one machine runs, on which ports and with which environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from scribewire_local.home import Home
from scribewire_local.kafka import Kafka
from scribewire_local.keeper import Part
from scribewire_local.marks import marks
from scribewire_local.ports import HOST, free_port, is_free
from scribewire_local.postgres import Postgres, address
from scribewire_local.service import Service
from scribewire_local.settings import SCALABLE, LocalSettings
from scribewire_local.state import State

SERVICES = ("gateway", *SCALABLE)
ONE_SHOTS: dict[str, tuple[str, ...]] = {"topics": ("common.topics", "apply"), "migrate": ("recorder", "migrate")}


@dataclass(frozen=True)
class Parts:
    """Everything to run, by the order of starting: `infrastructure`, then the one-shot commands, then `services`."""

    infrastructure: list[Part]
    services: list[Part]
    one_shots: dict[str, tuple[str, ...]]
    """What must have run once Kafka and PostgreSQL answer and before a service starts: name, module and arguments."""
    environment: dict[str, str]
    """What every service and every one-shot command gets."""


def assemble(settings: LocalSettings, home: Home, before: State | None) -> Parts:
    """Decide ports (those of the last time where they are free) and build every part.

    A Kafka or a database elsewhere, named in the settings, is used and not run.
    """

    def port(name: str) -> int:
        last = before.port_of(name) if before is not None else None
        return last if last is not None and is_free(last) else free_port()

    infrastructure: list[Part] = []
    if (bootstrap := settings.kafka) is None:
        kafka = Kafka(home.kafka, port=port("kafka"), log=home.log("kafka"), marks=marks(home.folder, "kafka"))
        infrastructure.append(kafka)
        bootstrap = kafka.bootstrap
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
    else:
        postgres = Postgres(
            home.postgres,
            password_file=home.postgres_password,
            log=home.log("postgres"),
            port=port("postgres"),
            marks=marks(home.folder, "postgres"),
        )
        infrastructure.append(postgres)
        dsn = postgres.dsn
    environment = shared_environment(settings, home, bootstrap=bootstrap, dsn=dsn)
    services: list[Part] = []
    for module in SERVICES:
        for number in range(1, settings.count(module) + 1):
            name = module if number == 1 else f"{module}-{number}"
            own = settings.port if module == "gateway" else port(name)
            services.append(_service(name, module, own, environment, home))
    return Parts(infrastructure=infrastructure, services=services, one_shots=ONE_SHOTS, environment=environment)


class NotRunning(RuntimeError):  # noqa: N818 - reads as the sentence it is
    """Nothing runs in a home, so there is nothing to join."""


def environment(home: Path, settings: LocalSettings | None = None) -> dict[str, str]:
    """Return what every service process of the platform that runs in a home gets; one more can join with it.

    Raises
    ------
    NotRunning
        Nothing runs there.
    """
    settings = settings or LocalSettings(home=home)
    place = Home(settings.home)
    state = State.read(place.state_file)
    bootstrap, dsn = settings.kafka, settings.database_url.get_secret_value() if settings.database_url else None
    if state is not None and state.supervised():
        kafka, postgres = state.port_of("kafka"), state.port_of("postgres")
        bootstrap = bootstrap or (f"{HOST}:{kafka}" if kafka is not None else None)
        dsn = dsn or (address(place.postgres_password, postgres) if postgres is not None else None)
    if bootstrap is None or dsn is None:
        msg = "nothing is running; start it with: scribewire up --detach"
        raise NotRunning(msg)
    return shared_environment(settings, place, bootstrap=bootstrap, dsn=dsn)


def shared_environment(settings: LocalSettings, home: Home, *, bootstrap: str, dsn: str) -> dict[str, str]:
    """Return the caller's environment with the addresses of the parts; keys and SCRIBEWIRE_* pass through."""
    environment = dict(os.environ)
    if settings.smtp_server is not None and settings.public_url is None:
        # Links in mails need it. Without mail it stays open: other answers then name the address that was asked.
        environment["SCRIBEWIRE_PUBLIC_URL"] = f"http://{HOST}:{settings.port}"
    # The gateway alone has this port, and gets it by its own name.
    for name in ("PORT", "SCRIBEWIRE_PORT", "SCRIBEWIRE_HEALTH_PORT", "SCRIBEWIRE_DATABASE_URL"):
        environment.pop(name, None)
    return environment | {
        "SCRIBEWIRE_HOME": str(home.folder),
        "SCRIBEWIRE_KAFKA": bootstrap,
        "DATABASE_URL": dsn,
        "SCRIBEWIRE_BLOBS": settings.blobs or home.blobs.as_uri(),
        "SCRIBEWIRE_OPERATOR_KEY_FILE": str(settings.operator_key_file or home.key_file),
        "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(settings.encryption_keys_file or home.encryption_keys),
    }


def _service(name: str, module: str, port: int, environment: dict[str, str], home: Home) -> Service:
    setting = "SCRIBEWIRE_PORT" if module == "gateway" else "SCRIBEWIRE_HEALTH_PORT"
    return Service(
        name,
        module=module,
        port=port,
        environment=environment | {setting: str(port)} | marks(home.folder, name),
        log=home.log(name),
    )
