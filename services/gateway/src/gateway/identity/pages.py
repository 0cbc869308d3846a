"""The two pages that links in mails lead to: a form without scripts or styles, for the time there is no other page.

Opening a page does nothing yet: programs that look into mails open links as well.
"""

from html import escape
from urllib.parse import parse_qs

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.encoding import refuse_encoded
from gateway.expect import go_on
from gateway.identity import rules
from gateway.identity.recovery import RecoveryApi
from gateway.identity.register import RegisterApi
from gateway.problems import Problem
from gateway.routing import query_of

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
</head><body><main><h1>{title}</h1>
{body}
</main></body></html>
"""


class TokenQuery(BaseModel):
    """The token of a mail's link."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(default="", description="From the mail.")  # an address is no longer than 8 KiB as it is


class Pages:
    """The handlers of the pages and of their forms."""

    def __init__(self, *, register: RegisterApi, recovery: RecoveryApi) -> None:
        self._register = register
        self._recovery = recovery

    async def reset(self, request: web.Request) -> web.Response:
        """GET /auth/reset-password."""
        return _reset_form(query_of(request, TokenQuery).token)

    async def reset_sent(self, request: web.Request) -> web.Response:
        """POST /auth/reset-password/form."""
        form = await _form(request)
        token, password = form.get("token", ""), form.get("password", "")
        try:
            await self._recovery.renew(request, token, rules.password(password))
        except ValueError as error:
            return _reset_form(token, f"The password {error}.")
        except Problem as problem:
            return _failed("Set a new password", problem)
        return _page("Set a new password", "<p>The password is set. You can log in with it.</p>")

    async def confirm(self, request: web.Request) -> web.Response:
        """GET /auth/confirm."""
        token = escape(query_of(request, TokenQuery).token)
        return _page(
            "Confirm your e-mail address",
            f'<form method="post" action="/auth/confirm/form"><input type="hidden" name="token" value="{token}">'
            '<button type="submit">Confirm</button></form>',
        )

    async def confirm_sent(self, request: web.Request) -> web.Response:
        """POST /auth/confirm/form."""
        token = (await _form(request)).get("token", "")
        try:
            await self._register.answered(request, token)
        except Problem as problem:
            return _failed("Confirm your e-mail address", problem)
        return _page("Confirm your e-mail address", "<p>The address is confirmed. You can log in.</p>")


def _reset_form(token: str, wrong: str = "") -> web.Response:
    said = f"<p><strong>{escape(wrong)}</strong></p>" if wrong else ""
    return _page(
        "Set a new password",
        f'{said}<form method="post" action="/auth/reset-password/form">'
        f'<input type="hidden" name="token" value="{escape(token)}">'
        '<p><label>New password <input type="password" name="password" autocomplete="new-password" required '
        f'minlength="{rules.SHORTEST_PASSWORD}" maxlength="{rules.LONGEST_PASSWORD}"></label></p>'
        "<p>At least 8 characters, with an upper-case letter, a lower-case one and a digit.</p>"
        '<button type="submit">Set it</button></form>',
        status=422 if wrong else 200,
    )


def _failed(title: str, problem: Problem) -> web.Response:
    headers = dict(problem.headers or {})
    return _page(title, f"<p>{escape(str(problem))}</p>", status=problem.kind.status, headers=headers)


def _page(title: str, body: str, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(text=text, status=status, headers=headers, content_type="text/html")


async def _form(request: web.Request) -> dict[str, str]:
    refuse_encoded(request)
    await go_on(request)
    try:
        fields = parse_qs((await request.read()).decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
