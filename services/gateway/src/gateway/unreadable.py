"""What is no readable HTTP, as a problem; the parser's own words are not passed on, for they quote what was sent."""

import re

from aiohttp import http_exceptions

from gateway.problems import ADDRESS_TOO_LONG, HEADERS_TOO_LARGE, MALFORMED, METHOD_NOT_ALLOWED, Problem
from gateway.routes import ROUTES

LONGEST_ADDRESS = 8190
"""Bytes of an address with its query."""

LONGEST_HEADER = 8192
"""Bytes of one header; not the same as for addresses, for the parser's limit tells which of the two was too long."""

MOST_HEADERS = 128

_METHODS = ", ".join(sorted({route.method for route in ROUTES}))
_HEADER_LINE = re.compile(r"""\n\n  b['"]([A-Za-z][A-Za-z0-9-]{0,63}):""")
"""The name of the header at fault, in the parser's message."""


def refusal(error: BaseException | None) -> Problem:
    """The problem for a request that aiohttp's parser gave up."""
    if isinstance(error, http_exceptions.LineTooLong):
        if error.args[1] == LONGEST_ADDRESS:
            return Problem(ADDRESS_TOO_LONG, f"An address may have at most {LONGEST_ADDRESS} bytes, query included.")
        return Problem(HEADERS_TOO_LARGE, f"A header may have at most {LONGEST_HEADER} bytes.")
    if isinstance(error, http_exceptions.BadHttpMethod):
        return Problem(METHOD_NOT_ALLOWED, "No method of this name is known here.", headers={"Allow": _METHODS})
    said = error.message if isinstance(error, http_exceptions.HttpProcessingError) else ""
    if said.startswith("Too many headers"):
        return Problem(HEADERS_TOO_LARGE, f"A request may have at most {MOST_HEADERS} headers.")
    if said.startswith("Missing 'Host'"):
        return Problem(MALFORMED, "The header Host is missing.")
    if found := _HEADER_LINE.search(said):
        return Problem(MALFORMED, f"The header {found[1]} has a character or a value that is not allowed there.")
    return Problem(MALFORMED, "This is not HTTP as it should be.")
