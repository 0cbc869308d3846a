"""The addresses of accounts: under `/v1`, and those of `/auth` under which older clients look for them."""

from dataclasses import replace

from gateway.identity.models import (
    AccountChange,
    AuditPage,
    AuditQuery,
    ChangePassword,
    ConfirmEmail,
    ForgotPassword,
    LoginBody,
    People,
    PeopleQuery,
    Profile,
    ProfileChange,
    RefreshBody,
    Registration,
    ResetPassword,
    Said,
    Tokens,
    UserInfo,
)
from gateway.identity.pages import TokenQuery
from gateway.routing import Answer, Route

AT_AUTH = "_at_auth"
"""Ends the name of an operation under `/auth`."""

_BODY = (400, 413, 415, 422, 503)

_BOTH = (
    Route(
        operation="register",
        method="POST",
        path="/v1/auth/register",
        summary="Make an account",
        description=(
            "Where mails can be sent, the answer is always 202 and a mail says how to go on: nobody learns whether an "
            "address has an account. Elsewhere the account is there at once. A user name that is taken is said to be."
        ),
        body=Registration,
        answers={
            201: Answer("The account, logged in.", Tokens),
            202: Answer("A mail was sent to the address; answer it to go on.", Said),
        },
        problems=(*_BODY, 409, 429),
        door="open",
    ),
    Route(
        operation="confirm_email",
        method="POST",
        path="/v1/auth/confirm",
        summary="Answer a mail about an address",
        body=ConfirmEmail,
        answers={
            200: Answer("The account has the new address.", Said),
            201: Answer("The account is made and logged in.", Tokens),
        },
        problems=(*_BODY, 401, 409),
        door="open",
    ),
    Route(
        operation="login",
        method="POST",
        path="/v1/auth/login",
        summary="Log in with a password",
        description=(
            "A wrong password and an unknown name have the same answer, in the same time. Who guesses has to wait "
            "ever longer: 429 says how long."
        ),
        body=LoginBody,
        answers={200: Answer("A new session.", Tokens)},
        problems=(*_BODY, 401, 403, 429),
        door="open",
    ),
    Route(
        operation="refresh",
        method="POST",
        path="/v1/auth/refresh",
        summary="Go on with a session",
        description=(
            "Each refresh token is good for one exchange. A used one, shown again, ends the session, for two have it "
            "then; only in the seconds after the exchange it gets the same answer again, for the first may be lost."
        ),
        body=RefreshBody,
        answers={200: Answer("New tokens.", Tokens)},
        problems=(*_BODY, 401),
        door="open",
    ),
    Route(
        operation="logout",
        method="POST",
        path="/v1/auth/logout",
        summary="End this session",
        answers={200: Answer("It is ended.", Said)},
        problems=(409, 503),
    ),
    Route(
        operation="logout_all",
        method="POST",
        path="/v1/auth/logout-all",
        scope="account",
        summary="End every session of the account",
        answers={200: Answer("They are ended.", Said)},
        problems=(409, 503),
    ),
    Route(
        operation="change_password",
        method="POST",
        path="/v1/auth/change-password",
        scope="account",
        summary="Change one's password",
        description="Every other session of the account ends.",
        body=ChangePassword,
        answers={200: Answer("It is changed.", Said)},
        problems=(*_BODY, 404, 409, 429),
    ),
    Route(
        operation="forgot_password",
        method="POST",
        path="/v1/auth/forgot-password",
        summary="Get a mail for a new password",
        description="The answer is the same for every address.",
        body=ForgotPassword,
        answers={202: Answer("A mail is on its way if the address has an account.", Said)},
        problems=(*_BODY, 429),
        door="open",
    ),
    Route(
        operation="reset_password",
        method="POST",
        path="/v1/auth/reset-password",
        summary="Set a new password with the token of a mail",
        description="Works once for each token. Every session of the account ends.",
        body=ResetPassword,
        answers={200: Answer("It is set.", Said)},
        problems=(*_BODY, 429),
        door="open",
    ),
)

_CHANGE = Route(
    operation="change_account",
    method="PATCH",
    path="/v1/account",
    scope="account",
    summary="Change one's account",
    description=(
        "What is not named stays. Another e-mail address needs `current_password`, is refused to API keys, and where "
        "mails can be sent counts once the mail to it is answered; the address before is told. All of it is done, or "
        "nothing. `gdpr_consent` and `data_retention_agreed` may be given here, as true, where they were not."
    ),
    body=ProfileChange,
    answers={200: Answer("The account as it is now.", Profile)},
    problems=(*_BODY, 404, 409, 429),
)

_SHOW = Route(
    operation="get_account",
    method="GET",
    path="/v1/account",
    scope="account",
    summary="One's account",
    answers={200: Answer("The account.", Profile)},
    problems=(404, 409, 503),
)

_HTML = ("text/html",)

ROUTES: tuple[Route, ...] = (
    *_BOTH,
    *(replace(route, operation=f"{route.operation}{AT_AUTH}", path=route.path.removeprefix("/v1")) for route in _BOTH),
    _SHOW,
    _CHANGE,
    replace(_SHOW, operation="get_profile", path="/auth/profile"),
    replace(_CHANGE, operation="put_profile", method="PUT", path="/auth/profile"),
    replace(_CHANGE, operation="patch_profile", path="/auth/profile"),
    replace(_SHOW, operation="me", path="/api/me"),
    Route(
        operation="userinfo",
        method="GET",
        path="/api/userinfo",
        scope="account",
        summary="One's account in the words of OpenID Connect",
        answers={200: Answer("The claims.", UserInfo)},
        problems=(404, 409, 503),
    ),
    Route(
        operation="mobile_login",
        method="POST",
        path="/mobile-auth/login",
        summary="Gone: it asked for no password",
        answers={},
        problems=(410,),
        door="open",
    ),
    Route(
        operation="reset_page",
        method="GET",
        path="/auth/reset-password",
        summary="The page that a mail's link leads to",
        query=TokenQuery,
        answers={200: Answer("A form for the new password.", media=_HTML)},
        problems=(422,),
        door="open",
    ),
    Route(
        operation="reset_form",
        method="POST",
        path="/auth/reset-password/form",
        summary="What that page sends",
        answers={
            200: Answer("The password is set.", media=_HTML),
            422: Answer("The token or the password is not good.", media=_HTML),
            429: Answer("Too many tries.", media=_HTML),
            503: Answer("Try again.", media=_HTML),
        },
        problems=(413, 415),
        door="open",
    ),
    Route(
        operation="confirm_page",
        method="GET",
        path="/auth/confirm",
        summary="The page that a mail's link leads to",
        query=TokenQuery,
        answers={200: Answer("A button that confirms.", media=_HTML)},
        problems=(422,),
        door="open",
    ),
    Route(
        operation="confirm_form",
        method="POST",
        path="/auth/confirm/form",
        summary="What that page sends",
        answers={
            200: Answer("The address is confirmed.", media=_HTML),
            409: Answer("Somebody has the address or the user name by now.", media=_HTML),
            422: Answer("The token is not good any more.", media=_HTML),
        },
        problems=(413, 415, 503),
        door="open",
    ),
    Route(
        operation="list_accounts",
        method="GET",
        path="/v1/admin/accounts",
        scope="admin",
        summary="Every account, newest first",
        query=PeopleQuery,
        answers={200: Answer("A page of accounts.", People)},
        problems=(422, 503),
    ),
    Route(
        operation="admin_get_account",
        method="GET",
        path="/v1/admin/accounts/{id}",
        scope="admin",
        summary="One account",
        answers={200: Answer("The account.", Profile)},
        problems=(404, 503),
    ),
    Route(
        operation="admin_change_account",
        method="PATCH",
        path="/v1/admin/accounts/{id}",
        scope="admin",
        summary="Change role or plan, switch an account off or on",
        body=AccountChange,
        answers={200: Answer("The account as it is now.", Profile)},
        problems=(*_BODY, 404),
    ),
    Route(
        operation="list_audit",
        method="GET",
        path="/v1/admin/audit",
        scope="admin",
        summary="Who did what, newest first",
        description="Logins are `login.succeeded` and `login.failed`; `action=login` lists both.",
        query=AuditQuery,
        answers={200: Answer("A page of the audit log.", AuditPage)},
        problems=(422, 503),
    ),
)
