"""Settings of the transcriber."""

import os
from collections.abc import Iterable

from pydantic import Field

from common.engines import Engine
from common.settings import CommonSettings


class TranscriberSettings(CommonSettings):
    """How much is recognised at once; keys and addresses of providers are `common.settings.ProviderSettings`."""

    offline_workers: int | None = Field(
        default=None, ge=1, description="Processes of the offline recogniser; by default one for each core."
    )

    @property
    def workers(self) -> int:
        """Processes of the offline recogniser."""
        return self.offline_workers or os.cpu_count() or 1

    def slots(self, engines: Iterable[Engine]) -> int:
        """Segments in work at once: as many calls as a paid engine takes, else one more than there are workers.

        The one more has its audio ready when a worker becomes free.
        """
        paid = max((e.concurrency for e in engines if e.service == "transcription" and not e.offline), default=0)
        return self.concurrency or max(paid, self.workers + 1)
