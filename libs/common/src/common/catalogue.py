"""Who does a job: the engines configured here, the choice among them, and what their work costs."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace

from common.engines import APERTIUM, ENGINES, POCKETSPHINX, Engine, Model, primary
from common.options import JobOptions, SegmentPlan
from common.settings import ProviderSettings

__all__ = [
    "ENGINES",
    "ISO_639_1",
    "Engine",
    "Model",
    "Unsupported",
    "apertium_pairs",
    "check_translator",
    "choose",
    "choose_translator",
    "configured",
    "cost",
    "model_for",
    "primary",
    "token_cost",
]


class Unsupported(Exception):  # noqa: N818 - a fact about a request, not a fault
    """Nobody configured can do what an option asks for; ``message`` names who could."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


ISO_639_1 = {
    "afr": "af", "ara": "ar", "bel": "be", "bul": "bg", "cat": "ca", "cym": "cy", "dan": "da", "deu": "de", "ell": "el",
    "eng": "en", "epo": "eo", "eus": "eu", "fra": "fr", "glg": "gl", "hin": "hi", "ind": "id", "isl": "is", "ita": "it",
    "kaz": "kk", "mkd": "mk", "mlt": "mt", "msa": "ms", "nld": "nl", "nno": "nn", "nob": "nb", "oci": "oc", "pol": "pl",
    "por": "pt", "ron": "ro", "rus": "ru", "slv": "sl", "spa": "es", "srd": "sc", "swe": "sv", "tat": "tt", "tur": "tr",
    "ukr": "uk", "urd": "ur",
}  # fmt: skip
"""Two-letter tags of the three-letter codes by which Apertium names its languages."""


def apertium_pairs(listing: str) -> frozenset[tuple[str, str]]:
    """Pairs in the output of ``apertium -l``; variants such as ``spa-eng_US`` are not pairs of their own."""
    modes = (re.fullmatch(r"([a-z]{2,3})-([a-z]{2,3})", line.strip()) for line in listing.splitlines())
    return frozenset((ISO_639_1.get(m[1], m[1]), ISO_639_1.get(m[2], m[2])) for m in modes if m)


def _installed_apertium() -> Engine | None:
    program = shutil.which("apertium")
    if program is None:
        return None
    try:
        listed = subprocess.run([program, "-l"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    pairs = apertium_pairs(listed.stdout)
    return replace(APERTIUM, pairs=pairs) if pairs else None


def configured(settings: ProviderSettings) -> tuple[Engine, ...]:
    """The engines that can work here, in order of preference: those whose key is set, then the offline ones.

    Asks the installed Apertium for its pairs, which takes some milliseconds: call it once, at start.
    """
    keys = {"DEEPGRAM_API_KEY": settings.deepgram_api_key, "OPENAI_API_KEY": settings.openai_api_key}
    paid = [e for e in ENGINES if e.setting is not None and keys[e.setting] is not None]
    apertium = _installed_apertium()
    return (*paid, POCKETSPHINX, *([apertium] if apertium else []))


def _lack(model: Model, options: JobOptions) -> tuple[str, str] | None:
    """The first option a model cannot serve, and what is asked for in words; None when it serves them all."""
    asked = (
        (model.speaks(options.language), "language", f"recognise {options.language}"),
        (model.diarize or not options.diarize, "diarize", "tell speakers apart"),
        (model.speakers or options.speakers is None, "speakers", "be told how many speakers to expect"),
        (model.keyterms or not options.keyterms, "keyterms", "listen for key terms"),
        (options.profanity in model.profanity, "profanity", f"give profanity {options.profanity}"),
    )
    return next(((field, words) for able, field, words in asked if not able), None)


def model_for(engine: Engine, options: JobOptions) -> Model:
    """The model of a recognition engine that serves a job: the one it names, else the first that can do it all.

    Raises
    ------
    Unsupported
        When the engine has no such model, or none that can.
    """
    models = engine.models if options.model is None else tuple(m for m in engine.models if m.name == options.model)
    if not models:
        have = ", ".join(m.name for m in engine.models)
        raise Unsupported("model", f"{engine.name} has no model {options.model}; it has {have}.")
    able = next((m for m in models if _lack(m, options) is None), None)
    if able is not None:
        return able
    field, words = _lack(models[0], options) or ("model", "do this")
    who = engine.name if options.model is None else f"{engine.name} with {options.model}"
    raise Unsupported(field, f"{who} cannot {words}; {_who_could(options, field)}")


def _who_could(options: JobOptions, field: str) -> str:
    able = [e for e in ENGINES if e.service == "transcription" and any(_lack(m, options) is None for m in e.models)]
    if not able:  # nobody can do all of it together: then say who can do this one thing

        def one(model: Model) -> bool:
            lack = _lack(model, options.model_copy(update={f: d for f, d in _PLAIN.items() if f != field}))
            return lack is None

        able = [e for e in ENGINES if e.service == "transcription" and any(one(m) for m in e.models)]
    return _names(able)


_PLAIN = {"language": "en", "diarize": False, "speakers": None, "keyterms": (), "profanity": "raw"}


def _names(engines: Sequence[Engine]) -> str:
    if not engines:
        return "no engine here can."
    return " or ".join(f"{e.name} (set {e.setting})" if e.setting else e.name for e in engines) + " could."


def _named(engines: Iterable[Engine], service: str, field: str, name: str) -> Engine:
    here = [e for e in engines if e.service == service]
    found = next((e for e in here if e.name == name), None)
    if found is not None:
        return found
    known = next((e for e in ENGINES if e.service == service and e.name == name), None)
    if known is None:
        raise Unsupported(
            field, f"There is no {service} engine {name}; there is {', '.join(e.name for e in here) or 'none'}."
        )
    how = f"set {known.setting}" if known.setting else "install its program"
    raise Unsupported(field, f"{name} is not configured here: {how}.")


def choose(options: JobOptions, engines: Sequence[Engine]) -> SegmentPlan:
    """Choose who recognises a job and how its audio is cut.

    Parameters
    ----------
    options
        What the user asks for; ``punctuate`` is served where an engine can and refused nowhere.
    engines
        What is `configured`, in order of preference.

    Raises
    ------
    Unsupported
        When nobody configured can do it; the message names who could.
    """
    if options.provider is not None:
        candidates = [_named(engines, "transcription", "provider", options.provider)]
    else:
        candidates = [e for e in engines if e.service == "transcription"]
        if options.model is not None:
            candidates = [e for e in candidates if e.model(options.model)] or _no_model(options)
    refusal: Unsupported | None = None
    for engine in candidates:
        try:
            model = model_for(engine, options)
        except Unsupported as error:
            refusal = refusal or error
        else:
            # Speakers are numbered anew in each call: only a whole recording gives one person one number.
            return SegmentPlan(provider=engine.name, max_seconds=None if options.diarize else model.max_seconds)
    raise refusal or Unsupported("provider", "No recognition engine is configured here.")


def _no_model(options: JobOptions) -> list[Engine]:
    having = [e for e in ENGINES if e.service == "transcription" and e.model(options.model)]
    if having:
        raise Unsupported("model", f"No engine configured here has a model {options.model}; {_names(having)}")
    known = ", ".join(m.name for e in ENGINES if e.service == "transcription" for m in e.models)
    raise Unsupported("model", f"There is no model {options.model}; there is {known}.")


def check_translator(options: JobOptions, engines: Iterable[Engine]) -> None:
    """Raise `Unsupported` when the translation engine named is not here, even when there is nothing to translate."""
    if options.translator is not None:
        _named(engines, "translation", "translator", options.translator)


def choose_translator(language: str, source: str, options: JobOptions, engines: Sequence[Engine]) -> Engine:
    """Choose who translates a transcript from one BCP 47 language into another.

    Raises
    ------
    Unsupported
        When nobody configured can do it; ``field`` is ``translate``, or ``translator`` when a named one cannot.
    """
    if options.translator is not None:
        candidates = [_named(engines, "translation", "translator", options.translator)]
    else:
        candidates = [e for e in engines if e.service == "translation"]
    able = next((e for e in candidates if e.translates(source, language)), None)
    if able is not None:
        return able
    who = options.translator or "Nobody configured here"
    could = [e for e in ENGINES if e.service == "translation" and e.translates(source, language)]
    verb = "cannot" if options.translator else "can"
    raise Unsupported("translate", f"{who} {verb} translate {source} into {language}; {_names(could)}")


def cost(engine: Engine, model: str | None, seconds: float) -> float:
    """List price in USD of recognising some seconds of audio; 0 for offline engines and unknown models."""
    known = engine.model(model)
    return round((known.usd_per_minute if known else 0.0) * seconds / 60.0, 6)


def token_cost(engine: Engine, model: str | None, input_tokens: int, output_tokens: int) -> float:
    """List price in USD of a translation's tokens; 0 for offline engines and unknown models."""
    known = engine.model(model)
    if known is None:
        return 0.0
    usd = known.usd_per_million_input * input_tokens + known.usd_per_million_output * output_tokens
    return round(usd / 1e6, 6)
