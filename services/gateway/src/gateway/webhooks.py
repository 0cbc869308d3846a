"""Registering addresses that receive terminal events."""

import base64
import secrets
from uuid import uuid4

from aiohttp import web

from common.crypt import Crypt
from common.events import now
from common.webhook_secrets import sealed
from gateway.addresses import public_url
from gateway.answers import json_answer
from gateway.lookup import path_id
from gateway.models import NewWebhook, WebhookCreated, WebhookList
from gateway.principal import owner_of
from gateway.problems import NOT_FOUND, Problem
from gateway.routing import body_of
from gateway.store import Store

SECRET_BYTES = 32


class WebhooksApi:
    """The handlers of `/v1/webhooks`."""

    def __init__(self, *, store: Store, crypt: Crypt, allow_private: bool) -> None:
        self._store = store
        self._crypt = crypt
        self._allow_private = allow_private

    async def add(self, request: web.Request) -> web.Response:
        """POST /v1/webhooks."""
        new = body_of(request, NewWebhook)
        public_url("url", new.url, allow_private=self._allow_private)
        webhook = WebhookCreated(
            id=uuid4(),
            url=new.url,
            events=sorted(set(new.events)),
            created_at=now(),
            secret="whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
        )
        await self._store.add_webhook(owner_of(request), webhook, sealed(self._crypt, webhook.secret))
        return json_answer(webhook, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/webhooks."""
        return json_answer(WebhookList(webhooks=await self._store.webhooks(owner_of(request))))

    async def drop(self, request: web.Request) -> web.Response:
        """DELETE /v1/webhooks/{id}."""
        if not await self._store.drop_webhook(owner_of(request), path_id(request)):
            raise Problem(NOT_FOUND, "There is no webhook with this id.")
        return web.Response(status=204)
