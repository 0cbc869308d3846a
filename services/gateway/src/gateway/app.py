"""The aiohttp application: the route table joined to its handlers, behind the door and the problem middleware."""

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel, ValidationError

from gateway.door import Door
from gateway.encoding import refuse_encoded
from gateway.expect import go_on, put_off
from gateway.headers import secure
from gateway.measure import measure
from gateway.principal import PRINCIPAL, Principal
from gateway.problems import FORBIDDEN, INVALID, MALFORMED, Handler, Problem, answer_problems, invalid
from gateway.routes import ROUTES
from gateway.routing import BODY, QUERY, Route
from gateway.walls.outside import BARE, Outside

LONGEST_JSON = 256 * 1024


Noted = Callable[[web.Request, str, web.StreamResponse], None]
"""Told of what somebody did: the request, what it is called, and the answer."""


def _nobody(_request: web.Request, _action: str, _answer: web.StreamResponse) -> None:
    pass


def application(
    handlers: Mapping[str, Handler], door: Door, outside: Outside = BARE, *, noted: Noted = _nobody
) -> web.Application:
    """The gateway's application.

    Parameters
    ----------
    handlers
        One handler for each operation of `gateway.routes.ROUTES`.
    door
        Who decides who comes in.
    outside
        What stands before the door.
    noted
        Told of what goes into the audit log.

    Raises
    ------
    ValueError
        When an operation has no handler, or a handler no operation.
    """
    if handlers.keys() != {route.operation for route in ROUTES}:
        msg = f"handlers and operations differ: {handlers.keys() ^ {route.operation for route in ROUTES}}"
        raise ValueError(msg)
    app = web.Application(middlewares=[measure, answer_problems, _guard(door, outside)], client_max_size=LONGEST_JSON)
    app.on_response_prepare.append(_finished(outside))
    for route in ROUTES:
        app.router.add_route(
            route.method, route.path, _validated(route, handlers[route.operation], noted), expect_handler=put_off
        )
    return app


def _guard(door: Door, outside: Outside) -> Middleware:
    # One middleware for all that stands before a handler: each more would cost every request a coroutine.
    known = {(route.method, route.path): route for route in ROUTES}
    floods, cors = outside.floods, outside.cors

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if floods is not None:
            floods.outside(request)
        if (preflight := cors.preflight(request)) is not None:
            return preflight
        resource = request.match_info.route.resource
        route = known.get((request.method, resource.canonical if resource is not None else ""))
        # An address that does not exist needs a key as well: a stranger learns nothing of what is there.
        entry = route.door if route is not None else "key"
        if entry == "key" or (entry == "loopback" and not _from_here(request)):
            principal = await door.enter(request)
            if route is not None:
                _allow(route, principal)
            if floods is not None:
                floods.inside(principal)
            request[PRINCIPAL] = principal
        return await handler(request)

    return guard


def _allow(route: Route, principal: Principal) -> None:
    if route.scope is not None and route.scope not in principal.scopes:
        raise Problem(FORBIDDEN, f"This needs the scope '{route.scope}'.", scope=route.scope)
    if principal.via == "stream" and route.scope != "stream":
        raise Problem(FORBIDDEN, "A stream token opens event streams and nothing else.")


def _from_here(request: web.Request) -> bool:
    # Behind a proxy on this machine everybody seems to be from here, so what a proxy passed on is from elsewhere.
    try:
        near = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
    return near and "X-Forwarded-For" not in request.headers and "Forwarded" not in request.headers


def _validated(route: Route, handler: Handler, noted: Noted) -> Handler:
    async def validate(request: web.Request) -> web.StreamResponse:
        if route.upload or route.takes or route.body is not None:
            refuse_encoded(request)
        if route.query is not None and not (route.upload or route.takes):
            request[QUERY] = _query(request, route.query)
        if route.body is not None and (not route.upload or request.content_type == "application/json"):
            request[BODY] = await _body(request, route.body)
        answer = await handler(request)
        if route.audit is not None and answer.status < 300:
            noted(request, route.audit, answer)
        return answer

    return validate


def _query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    if twice:
        raise Problem(INVALID, f"Given twice: {', '.join(twice)}.", errors=[(name, "given twice") for name in twice])
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error, model) from None


async def _body(request: web.Request, model: type[BaseModel]) -> BaseModel:
    if (request.content_length or 0) > LONGEST_JSON:
        raise web.HTTPRequestEntityTooLarge(max_size=LONGEST_JSON, actual_size=request.content_length or 0)
    await go_on(request)
    try:
        return model.model_validate(json.loads(await request.read()))
    except ValidationError as error:
        raise invalid(error, model) from None
    except (ValueError, RecursionError):
        raise Problem(MALFORMED, "The body is not JSON.") from None


def _finished(outside: Outside) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        secure(response)
        outside.cors.mark(request, response)
        outside.transport.mark(request, response)

    return finish
