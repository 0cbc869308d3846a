"""Who translates a finished transcript; a job is never held up because nobody here can."""

from collections.abc import Sequence

from common.catalogue import ENGINES, Engine, Unsupported, choose_translator
from common.options import JobOptions


def translator_for(language: str, source: str, options: JobOptions, engines: Sequence[Engine]) -> str:
    """Name of the engine that is to translate.

    The gateway has refused what nobody can do. What is configured may differ here or may have changed since; then the
    request still goes out, to the engine the user named or an offline one or any that can, and it is the translator
    that says what is wrong with it.
    """
    for among in (engines, [e for e in ENGINES if e.offline], ENGINES):
        try:
            return choose_translator(language, source, options, among).name
        except Unsupported:
            continue
    return options.translator or "apertium"
