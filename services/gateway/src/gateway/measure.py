"""Figures about requests, by operation and status."""

import functools
import time

from aiohttp import web
from prometheus_client import Counter, Histogram

from gateway.problems import Handler
from gateway.routes import ROUTES

REQUESTS = Counter("scribewire_http_requests", "Requests answered.", ["operation", "status"])
SECONDS = Histogram(
    "scribewire_http_seconds",
    "Seconds until a request was answered; an event stream counts when it ends.",
    ["operation"],
    buckets=(0.005, 0.025, 0.1, 0.5, 2, 10, 60, 600),
)
UPLOADED = Counter("scribewire_uploaded_bytes", "Bytes of files taken.")

_TIMES = functools.cache(SECONDS.labels)
_COUNTS = functools.cache(REQUESTS.labels)
# `labels` takes a lock and makes strings each time; there are a few hundred children at most.

_OPERATIONS = {(route.method, route.path): route.operation for route in ROUTES}


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request; stands outside the problem middleware, so that it sees every answer as it is sent."""
    resource = request.match_info.route.resource
    operation = _OPERATIONS.get((request.method, resource.canonical if resource is not None else ""), "none")
    begun = time.perf_counter()
    try:
        response = await handler(request)
    except ConnectionError:
        _COUNTS(operation, "broken").inc()  # What was sent is not the whole answer, whatever its status.
        raise
    _TIMES(operation).observe(time.perf_counter() - begun)
    _COUNTS(operation, str(response.status)).inc()
    return response
