"""The room of the walls, joined."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from common import catalogue
from common.bus.control import ControlLog
from common.bus.producer import Producer
from gateway.database import Database
from gateway.identity.ports import Audit
from gateway.problems import Handler
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.walls.api import LimitsApi
from gateway.walls.audit_retention import AuditRetention
from gateway.walls.gate import Gate
from gateway.walls.recount import keep_counting
from gateway.walls.retention import Retention
from gateway.walls.store import WallsStore
from gateway.walls.usage import UsageApi


class Walls:
    """The gate every job passes, the handlers of `gateway.walls.table`, and what goes on behind them."""

    def __init__(
        self, *, database: Database, settings: GatewaySettings, engines: Sequence[catalogue.Engine], audit: Audit
    ) -> None:
        self.store = WallsStore(database)
        self.gate = Gate(self.store, plans=settings.plans, engines=engines, patience=2.5 * settings.store_seconds)
        self._limits = LimitsApi(gate=self.gate, store=self.store, audit=audit)
        self._usage = UsageApi(self.store)
        self._every = timedelta(hours=settings.retention_hours)
        keep = timedelta(days=settings.audit_days) if settings.audit_days else None
        self._audit_retention = AuditRetention(self.store, keep=keep)

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by operation."""
        return {
            "get_limits": self._limits.mine,
            "get_account_limits": self._limits.show,
            "change_account_limits": self._limits.change,
            "get_usage": self._usage.sums,
            "list_usage": self._usage.records,
        }

    async def run(self, *, store: Store, control: ControlLog, producer: Producer) -> None:
        """Make counts good and erase what is due, until cancelled."""
        retention = Retention(store=store, walls=self.store, gate=self.gate, control=control, producer=producer)
        await asyncio.gather(
            keep_counting(self.store), retention.run(self._every), self._audit_retention.run(self._every)
        )
