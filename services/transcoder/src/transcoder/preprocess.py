"""Opens the plug-ins a job asks for, and says with which options it goes on behind them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from pydantic import ValidationError

from common.catalogue import ENGINES, Unsupported, model_for
from common.errors import Permanent
from common.events import UploadReceived
from common.options import JobOptions
from common.plugins.job_settings import CHANGEABLE, changed, initial
from common.plugins.process import Outcome, open_plugins
from transcoder.passages import Passages, Unchanged, Unheard


class Preprocess:
    """What stands between a decoder and the cutter.

    Parameters
    ----------
    seconds
        How long plug-ins may take for a passage.
    settings
        What every job's plug-ins find in their settings.
    """

    def __init__(self, *, seconds: float = 60.0, settings: Mapping[str, Any] | None = None) -> None:
        self._seconds = seconds
        self._settings = settings or {}

    @asynccontextmanager
    async def open(self, event: UploadReceived) -> AsyncIterator[Unchanged]:
        """The way of a job's audio; raises as `common.plugins.process.open_plugins` does."""
        if not event.options.plugins:
            yield Unchanged()
            return
        settings = initial(event.options, self._settings, provider=event.plan.provider)
        async with open_plugins(event.options.plugins, settings, seconds=self._seconds) as plugins:
            yield Passages(plugins) if plugins.hears else Unheard(plugins)


def options_behind(event: UploadReceived, outcome: Outcome | None) -> JobOptions:
    """The options recognition goes by.

    Raises
    ------
    Permanent
        When a plug-in set one to what it cannot be, or to what the job's engine cannot do.
    """
    if outcome is None:
        return event.options
    try:
        options = changed(event.options, outcome.settings)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise _failed(outcome, field, f"set {field} to what it cannot be") from error
    engine = next((e for e in ENGINES if e.name == event.plan.provider and e.service == "transcription"), None)
    differ = [name for name in CHANGEABLE if getattr(options, name) != getattr(event.options, name)]
    if differ and engine is not None:
        try:
            model = model_for(engine, options)
        except Unsupported as error:
            raise _failed(outcome, error.field, f"changed {error.field}: {error.message}") from error
        if not options.diarize and (event.plan.max_seconds or inf) > (model.max_seconds or inf):
            why = f"which needs the model {model.name} and audio that is cut otherwise; name that model in the job."
            raise _failed(outcome, differ[0], f"changed {differ[0]}, {why}")
    return options


def _failed(outcome: Outcome, field: str, what: str) -> Permanent:
    return Permanent("plugin_failed", f"The plug-in {outcome.changed_by.get(field, '')} {what}")
