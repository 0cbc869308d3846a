"""``Expect: 100-continue``, answered only when the body is wanted: a refused upload is never sent."""

from aiohttp import HttpVersion11, web

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


async def put_off(request: web.Request) -> None:
    """A route's handler of ``Expect``: says nothing yet.

    Raises
    ------
    aiohttp.web.HTTPExpectationFailed
        When something else than ``100-continue`` is expected.
    """
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def go_on(request: web.Request) -> None:
    """Tell a client that waits for it to send its body; called just before the body is read."""
    if "Expect" in request.headers and request.version >= HttpVersion11:
        await request.writer.write(_GO_ON)
        request.writer.output_size = 0  # The answer itself has not begun.
