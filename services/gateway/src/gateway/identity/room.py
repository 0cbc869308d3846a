"""The room of accounts, furnished: its stores for the neighbours, its handlers for the addresses."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from common.crypt import Crypt
from gateway.callers import Callers
from gateway.database import Database, StoreUnavailable
from gateway.identity.account_store import AccountStore
from gateway.identity.administration import AdministrationApi
from gateway.identity.arrival import Arrival
from gateway.identity.audit import AuditLog
from gateway.identity.confirmation import Confirmations
from gateway.identity.consent import Consent
from gateway.identity.ended import EndedIdentities
from gateway.identity.login import LoginApi
from gateway.identity.mailbox import Mailbox
from gateway.identity.pages import Pages
from gateway.identity.passwords import Passwords
from gateway.identity.ports import AccessTokens
from gateway.identity.profile import ProfileApi
from gateway.identity.recovery import RecoveryApi
from gateway.identity.register import RegisterApi
from gateway.identity.reset_store import ResetStore
from gateway.identity.session_store import SessionStore
from gateway.identity.table import AT_AUTH
from gateway.identity.throttle import Throttle
from gateway.identity.trail import Trail
from gateway.identity.used import UsedLinks
from gateway.problems import Handler
from gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)


class Identity:
    """Everything about accounts.

    Parameters
    ----------
    base
        Where people find the gateway, for links in mails.
    """

    def __init__(self, *, database: Database, crypt: Crypt, settings: GatewaySettings) -> None:
        salt, pepper = settings.password_salt, settings.key_pepper
        self.callers = Callers(settings.trusted_networks)
        self.audit = AuditLog(database, self.callers)
        self.trail = Trail(self.audit)
        self.accounts = AccountStore(database, crypt)
        self.sessions = SessionStore(
            database,
            crypt,
            lasts=timedelta(hours=settings.session_hours),
            grace=timedelta(seconds=settings.refresh_grace_seconds),
        )
        self.throttle = Throttle(database)
        self.ended = EndedIdentities(database, pepper=pepper.get_secret_value() if pepper is not None else None)
        self.consent = Consent(database, required=settings.oidc_consent and settings.issuer is not None)
        self._resets = ResetStore(
            database, ended=self.sessions.tell_ended, lasts=timedelta(minutes=settings.reset_minutes)
        )
        self._mailbox = Mailbox(database, crypt, on=settings.smtp_server is not None)
        self._confirmations = Confirmations(crypt)
        self._used = UsedLinks(database)
        self._passwords = Passwords(
            at_once=settings.password_checks, salt=salt.get_secret_value() if salt is not None else None
        )
        self._settings = settings
        self._recovery: RecoveryApi | None = None

    def handlers(self, tokens: AccessTokens) -> Mapping[str, Handler]:
        """The handler of every operation of `gateway.identity.table`."""
        base, confirm = self._settings.base_url, self._settings.confirms_email
        arrival = Arrival(accounts=self.accounts, sessions=self.sessions, tokens=tokens, callers=self.callers)
        login = LoginApi(
            accounts=self.accounts,
            sessions=self.sessions,
            passwords=self._passwords,
            throttle=self.throttle,
            arrival=arrival,
            audit=self.audit,
            callers=self.callers,
        )
        register = RegisterApi(
            accounts=self.accounts,
            passwords=self._passwords,
            throttle=self.throttle,
            arrival=arrival,
            mailbox=self._mailbox,
            confirmations=self._confirmations,
            audit=self.audit,
            callers=self.callers,
            base=base,
            confirm=confirm,
        )
        recovery = self._recovery = RecoveryApi(
            accounts=self.accounts,
            resets=self._resets,
            passwords=self._passwords,
            throttle=self.throttle,
            mailbox=self._mailbox,
            audit=self.audit,
            callers=self.callers,
            base=base,
            minutes=self._settings.reset_minutes,
        )
        profile = ProfileApi(
            accounts=self.accounts,
            sessions=self.sessions,
            passwords=self._passwords,
            throttle=self.throttle,
            mailbox=self._mailbox,
            confirmations=self._confirmations,
            audit=self.audit,
            callers=self.callers,
            base=base,
            confirm=confirm,
        )
        pages = Pages(register=register, recovery=recovery)
        admin = AdministrationApi(accounts=self.accounts, sessions=self.sessions, audit=self.audit)
        both: dict[str, Handler] = {
            "register": register.register,
            "confirm_email": register.confirm,
            "login": login.login,
            "refresh": login.refresh,
            "logout": login.logout,
            "logout_all": login.logout_all,
            "change_password": profile.change_password,
            "forgot_password": recovery.forgot,
            "reset_password": recovery.reset,
        }
        return {
            **both,
            **{f"{name}{AT_AUTH}": handler for name, handler in both.items()},
            "get_account": profile.show,
            "change_account": profile.change,
            "get_profile": profile.show,
            "put_profile": profile.change,
            "patch_profile": profile.change,
            "me": profile.show,
            "userinfo": profile.userinfo,
            "mobile_login": login.mobile,
            "reset_page": pages.reset,
            "reset_form": pages.reset_sent,
            "confirm_page": pages.confirm,
            "confirm_form": pages.confirm_sent,
            "list_accounts": admin.list,
            "admin_get_account": admin.show,
            "admin_change_account": admin.change,
            "list_audit": admin.audit,
        }

    async def run(self) -> None:
        """What goes on in the background, for ever."""
        await asyncio.gather(self.keep_tidy(), self.trail.keep())

    async def keep_tidy(self, every: timedelta = timedelta(hours=1)) -> None:
        """Forget what has long ended, for ever."""
        while True:
            for kept in (self.sessions, self._resets, self._used, self.ended, self.throttle, self._mailbox):
                try:
                    await kept.tidy()
                except StoreUnavailable:
                    log.warning("tidying_put_off")
                except Exception:
                    log.exception("tidying_failed")
            await asyncio.sleep(every.total_seconds())

    async def close(self) -> None:
        """Finish what was begun, and end the threads."""
        if self._recovery is not None:
            await self._recovery.finish()
        await self.trail.flush()
        self._passwords.close()
