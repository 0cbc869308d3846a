"""Bodies are taken as they are: one that is compressed on the way is refused before it is read."""

from aiohttp import web

from gateway.problems import UNSUPPORTED_ENCODING, Problem


def refuse_encoded(request: web.Request) -> None:
    """Raise a 415 problem when the body has a ``Content-Encoding``: recordings gain nothing by one."""
    codings = {coding.strip().lower() for coding in ",".join(request.headers.getall("Content-Encoding", ())).split(",")}
    if codings - {"", "identity"}:
        raise Problem(
            UNSUPPORTED_ENCODING,
            "Send the body as it is, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
