"""What an admin sees and changes: accounts and the audit log."""

from aiohttp import web

from gateway.answers import json_answer
from gateway.cursors import cursor, place
from gateway.identity.account import Person
from gateway.identity.account_store import AccountStore
from gateway.identity.audit import AuditLog
from gateway.identity.models import AccountChange, AuditLine, AuditPage, AuditQuery, People, PeopleQuery, Profile
from gateway.identity.session_store import SessionStore
from gateway.lookup import path_id
from gateway.problems import NOT_FOUND, Problem
from gateway.routing import body_of, query_of


class AdministrationApi:
    """The handlers of `/v1/admin/accounts` and `/v1/admin/audit`."""

    def __init__(self, *, accounts: AccountStore, sessions: SessionStore, audit: AuditLog) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._audit = audit

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/admin/accounts."""
        query = query_of(request, PeopleQuery)
        found = await self._accounts.people(
            login=query.login,
            role=query.role,
            is_active=query.is_active,
            before=place(query.cursor),
            limit=query.limit + 1,
        )
        page = found[: query.limit]
        following = cursor(page[-1].created_at, page[-1].account.id) if len(found) > query.limit else None
        return json_answer(People(accounts=[Profile.of(person) for person in page], next_cursor=following))

    async def show(self, request: web.Request) -> web.Response:
        """GET /v1/admin/accounts/{id}."""
        return json_answer(Profile.of(await self._person(request)))

    async def change(self, request: web.Request) -> web.Response:
        """PATCH /v1/admin/accounts/{id}: role, plan, and whether it is switched on."""
        body = body_of(request, AccountChange)
        person = await self._person(request)
        changes = body.model_dump(exclude_none=True)
        if changes:
            account = person.account
            await self._accounts.change(account.id, **changes)
            if body.is_active is False:
                await self._sessions.revoke_all(account.id, "the account was switched off")
            before = {name: getattr(account, name) for name in changes}
            await self._audit(request, "admin.account_changed", account=account.owner, before=before, after=changes)
        return json_answer(Profile.of(await self._person(request)))

    async def audit(self, request: web.Request) -> web.Response:
        """GET /v1/admin/audit."""
        query = query_of(request, AuditQuery)
        found = await self._audit.find(
            **query.model_dump(exclude={"limit", "cursor"}), before=place(query.cursor), limit=query.limit + 1
        )
        page = found[: query.limit]
        lines = [AuditLine.model_validate(line, from_attributes=True) for line in page]
        following = cursor(page[-1].at, page[-1].id) if len(found) > query.limit else None
        return json_answer(AuditPage(lines=lines, next_cursor=following))

    async def _person(self, request: web.Request) -> Person:
        person = await self._accounts.person(path_id(request))
        if person is None:
            raise Problem(NOT_FOUND, "There is no account with this id.")
        return person
