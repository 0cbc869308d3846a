"""What the audit log is asked for: an account, whoever did something with it, and an address."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import now
from common.settings import CommonSettings
from gateway.callers import Callers
from gateway.database import Database
from gateway.identity.audit import FIND, AuditLog, NewLine
from gateway.identity.models import AuditQuery
from support.platform import fresh_database

ANN, BEN, ADMIN = (str(UUID(int=number)) for number in (1, 2, 3))


async def test_everything_about_an_account_and_everything_from_an_address(postgres_server_dsn: str) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    begun = now()
    told: list[tuple[str | None, str, str, dict[str, Any]]] = [
        (ANN, "login.succeeded", "192.0.2.1", {}),
        (None, "login.failed", "198.51.100.7", {"account": ANN, "reason": "password"}),
        (None, "login.failed", "198.51.100.7", {"account": BEN, "reason": "password"}),
        (None, "login.failed", "2001:db8::1", {"account": None}),
        (ADMIN, "admin.account_changed", "203.0.113.9", {"account": ANN}),
        (BEN, "job.submitted", "192.0.2.1", {"id": ANN}),
    ]
    async with open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)) as pool:
        log = AuditLog(Database(pool, seconds=10), Callers())
        await log.write(
            [
                NewLine(uuid4(), begun + timedelta(seconds=number), actor, action, ip, None, details)
                for number, (actor, action, ip, details) in enumerate(told)
            ]
        )

        async def found(**asked: str) -> list[tuple[str | None, str]]:
            query = AuditQuery.model_validate(asked).model_dump(exclude={"limit", "cursor"})
            return [(line.actor, line.action) for line in await log.find(**query, before=None, limit=100)]

        assert await found(account=ANN) == [
            (ADMIN, "admin.account_changed"),
            (None, "login.failed"),
            (ANN, "login.succeeded"),
        ]
        assert await found(account=ANN, actor=ADMIN) == [(ADMIN, "admin.account_changed")]
        assert await found(ip="192.0.2.1") == [(BEN, "job.submitted"), (ANN, "login.succeeded")]
        assert await found(ip="2001:0DB8:0:0::1") == [(None, "login.failed")]
        assert await found(ip="198.51.100.7", account=BEN) == [(None, "login.failed")]
        assert await found(ip="fe80::1%\0", account="\0") == []
        assert len(await found()) == len(told)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            asked = (*[None] * 6, 10, None, "192.0.2.1")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {FIND}", *asked))
        assert "audit_log_ip_at" in plan, plan


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be an IP address"):
        AuditQuery.model_validate({"ip": "192.0.2"})
