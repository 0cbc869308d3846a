"""One attempt over SMTP; what a server says is not kept, for it may quote the mail."""

import ssl
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Literal

import aiosmtplib

from notifier.mail_ports import Mail, Sent

SUBJECT = "[Transcription Service] "

Security = Literal["starttls", "tls", "offered"]
"""STARTTLS or nothing is sent; TLS from the first byte; STARTTLS where the server offers it."""

_PERMANENT = 500


class SmtpSender:
    """Sends mails, one connection each; it is a `notifier.mail_ports.MailSender`.

    Parameters
    ----------
    server, port
        The mail server.
    user, password
        How to log in there; both or neither. They are sent over TLS only.
    sender
        Address the mails come from.
    security
        How the connection is kept from being read.
    seconds
        Longest wait for each answer of the server.
    tls
        Whose certificates are believed; by default those of this machine.
    """

    def __init__(
        self,
        *,
        server: str,
        port: int,
        user: str | None,
        password: str | None,
        sender: str,
        security: Security,
        seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._port = port
        self._user = user
        self._password = password
        self._sender = sender
        self._security = security
        self._seconds = seconds
        self._tls = tls or ssl.create_default_context()

    async def send(self, mail: Mail) -> Sent:
        """Send it; the id is the same at every attempt, so that a second copy can be told."""
        client = aiosmtplib.SMTP(
            hostname=self._server,
            port=self._port,
            timeout=self._seconds,
            tls_context=self._tls,
            use_tls=self._security == "tls",
            # Begun below, where a certificate that is not believed and a server without STARTTLS are told apart.
            start_tls=False,
        )
        try:
            async with client:
                await self._secure(client)
                if self._user and self._password:
                    if not client.is_connected or not self._encrypted(client):
                        return Sent("the server offers no TLS, and the password is not sent without")
                    await client.login(self._user, self._password)
                await client.send_message(self._message(mail))
        except aiosmtplib.SMTPAuthenticationError:
            return Sent("the server does not take the user and password")
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refusal.code for refusal in error.recipients]
            return Sent(f"the recipient was refused ({codes[0]})", final=all(code >= _PERMANENT for code in codes))
        except aiosmtplib.SMTPResponseException as error:
            return Sent(f"the server answered {error.code}", final=_is_about_the_mail(error))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Sent(_words(error))
        except (ValueError, UnicodeError):
            return Sent("the mail cannot be written for this server", final=True)
        return Sent()

    async def _secure(self, client: aiosmtplib.SMTP) -> None:
        if self._security == "tls":
            return
        await client.ehlo()
        offered = client.supports_extension("starttls")
        if offered:
            await client.starttls(tls_context=self._tls)
        elif self._security == "starttls":
            msg = "the server offers no STARTTLS"
            raise aiosmtplib.SMTPException(msg)

    def _encrypted(self, client: aiosmtplib.SMTP) -> bool:
        return client.transport is not None and client.transport.get_extra_info("sslcontext") is not None

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = _written(mail.recipient)
        message["Subject"] = SUBJECT + mail.subject
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = f"<{mail.id}@{self._sender.rpartition('@')[2].rstrip('>')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message


def _written(recipient: str) -> str:
    """The address with its domain as DNS knows it: few servers take other letters than ASCII."""
    local, _, domain = recipient.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def _is_about_the_mail(error: aiosmtplib.SMTPResponseException) -> bool:
    # What a server refuses in the greeting or over STARTTLS says nothing of this mail.
    about = (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError)
    return isinstance(error, about) and error.code >= _PERMANENT


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) or "certificate" in str(error).lower():
        return "the server's certificate is not believed"
    if isinstance(error, aiosmtplib.SMTPTimeoutError | TimeoutError):
        return "the server did not answer in time"
    if "STARTTLS" in str(error):
        return "the server offers no STARTTLS"
    return "no connection to the server, or it broke"
