"""What sending mail needs of the world: where mails wait, and somebody who sends one."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is due and is ours for a while; ``attempts`` were made before."""

    id: UUID
    recipient: str
    subject: str
    text: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt ended: taken by the server when there is no error; not to be tried again when ``final``."""

    error: str | None = None
    final: bool = False


class MailQueue(Protocol):
    """Mails by when they are due. Every method raises `common.errors.Transient` while the database is away."""

    async def claim(self, limit: int, *, seconds: float) -> list[Mail]:
        """Take due mails that no other notifier has; after ``seconds`` they are due again."""
        ...

    async def sent(self, mail: Mail) -> None:
        """Note that the server took it, and forget its text."""
        ...

    async def postponed(self, mail: Mail, error: str, seconds: float) -> None:
        """Note a failed attempt and when the next is due."""
        ...

    async def given_up(self, mail: Mail, error: str) -> None:
        """Note that there is no further attempt, and forget its text."""
        ...


class MailSender(Protocol):
    """Sends one mail."""

    async def send(self, mail: Mail) -> Sent:
        """Make one attempt; it does not raise for what servers do."""
        ...
