"""Jobs that ended become deliveries, one for each address that wants to know; they are sent by the courier."""

from collections.abc import Callable, Sequence

from common.bus import Outputs
from common.bus.stage import Recorded
from common.events import Terminal
from notifier.message import body
from notifier.ports import Notice, Register


class Notify:
    """The notifier's one handler.

    Parameters
    ----------
    register
        Where deliveries are made.
    wake
        Called when there are new ones, so that nobody waits for the next look.
    """

    def __init__(self, *, register: Register, wake: Callable[[], None]) -> None:
        self._register = register
        self._wake = wake

    async def __call__(self, batch: Sequence[Recorded]) -> Outputs:
        """Make the deliveries of a batch of terminal events; the same events again make none."""
        notices = [_notice(record.event) for record in batch if isinstance(record.event, Terminal)]
        if await self._register.register(notices):
            self._wake()
        return ()


def _notice(event: Terminal) -> Notice:
    return Notice(
        event_id=event.id,
        event_type=event.type,
        job_id=event.job_id,
        owner=event.owner,
        time=event.time,
        body=body(event),
        callback_url=event.options.callback_url if event.options else None,
    )
