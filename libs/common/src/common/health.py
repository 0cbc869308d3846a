"""What an orchestrator asks a process: /healthz (restart me?), /readyz (send me work?), /metrics."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Reasons = Callable[[], list[str]]


def routes(*, stuck: Reasons, unready: Reasons) -> list[web.RouteDef]:
    """The three routes, for an application that has others too.

    Parameters
    ----------
    stuck
        Why the process should be started anew; empty when it need not.
    unready
        Why it should get no work now; empty when it may.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(stuck())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(unready())

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


async def serve_health(host: str, port: int, *, stuck: Reasons, unready: Reasons) -> web.AppRunner:
    """Serve the routes on an address; port 0 takes a free one. Call `cleanup` on what is returned."""
    app = web.Application()
    app.add_routes(routes(stuck=stuck, unready=unready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _answer(reasons: list[str]) -> web.Response:
    return web.json_response(
        {"status": "unavailable" if reasons else "ok", "reasons": reasons}, status=503 if reasons else 200
    )
