"""What stands before the door: a bound on floods, preflights, and the headers that go with both."""

from dataclasses import dataclass

from gateway.callers import Callers
from gateway.headers import StrictTransport
from gateway.settings import GatewaySettings
from gateway.walls.cors import Cors
from gateway.walls.floods import Floods


@dataclass(frozen=True)
class Outside:
    """The parts; without ``floods`` requests are not bounded."""

    cors: Cors
    transport: StrictTransport
    floods: Floods | None = None


BARE = Outside(cors=Cors(), transport=StrictTransport(0, Callers()))


def outside(settings: GatewaySettings, callers: Callers) -> Outside:
    """What the settings ask for; raises ValueError for origins that are none."""
    rate = settings.requests_per_second
    return Outside(
        cors=Cors(settings.origins, credentials=settings.cors_credentials),
        transport=StrictTransport(settings.hsts_seconds, callers),
        floods=Floods(callers, per_second=rate) if rate else None,
    )
