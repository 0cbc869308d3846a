"""What a job will cost, as far as the catalogue can tell before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass

from common import catalogue
from common.options import JobOptions, SegmentPlan


@dataclass(frozen=True, slots=True)
class Price:
    """USD a minute of recognition, and whether the job costs anything at all: translations cost by their words."""

    usd_per_minute: float = 0.0
    paid: bool = False


FREE = Price()


def price_of(options: JobOptions, plan: SegmentPlan, engines: Sequence[catalogue.Engine]) -> Price:
    """The price of a job that can be done; an engine that is not known costs nothing."""
    engine = next((e for e in engines if e.service == "transcription" and e.name == plan.provider), None)
    if engine is None:
        return FREE
    try:
        per_minute = catalogue.cost(engine, catalogue.model_for(engine, options).name, 60.0)
        translators = [
            catalogue.choose_translator(language, options.language, options, engines) for language in options.translate
        ]
    except catalogue.Unsupported:
        return FREE  # Who plans the job says so in better words.
    return Price(per_minute, paid=per_minute > 0 or any(not translator.offline for translator in translators))
