"""The engines there are: what each provider can do, its limits and its list prices, as data."""

from dataclasses import dataclass
from typing import Literal

ANY = None
"""In place of a set of languages: whatever the caller names is passed on to the engine."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of an engine.

    ``languages`` holds primary tags (``en`` covers ``en-US``) or is None for any; ``max_seconds`` bounds a
    segment, save that telling speakers apart needs the whole recording in one.
    Prices are the provider's public list prices in USD; your contract may differ.
    """

    name: str
    languages: frozenset[str] | None = ANY
    diarize: bool = False
    speakers: bool = False
    keyterms: bool = False
    profanity: frozenset[str] = frozenset({"raw"})
    punctuate: bool = False
    word_timestamps: bool = False
    max_seconds: float | None = 300.0
    usd_per_minute: float = 0.0
    usd_per_million_input: float = 0.0
    usd_per_million_output: float = 0.0

    def speaks(self, language: str) -> bool:
        """Whether a BCP 47 tag is covered."""
        return self.languages is ANY or primary(language) in self.languages


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A provider of one service; ``models`` in order of preference, ``setting`` is what turns a paid one on.

    ``pairs`` are the (source, target) primary tags of a translation engine, or None for any; ``concurrency`` is how
    many calls one process makes at once; ``max_bytes`` bounds the audio of one call.
    """

    name: str
    service: Literal["transcription", "translation"]
    models: tuple[Model, ...]
    pairs: frozenset[tuple[str, str]] | None = ANY
    max_bytes: int | None = None
    concurrency: int = 16
    offline: bool = False
    setting: str | None = None

    def model(self, name: str | None) -> Model | None:
        """A model by its name, or None when the engine has no such model."""
        return next((m for m in self.models if m.name == name), None)

    def translates(self, source: str, target: str) -> bool:
        """Whether a pair of BCP 47 tags is covered."""
        return self.pairs is ANY or (primary(source), primary(target)) in self.pairs


def primary(language: str) -> str:
    """The primary subtag of a BCP 47 tag: ``en`` of ``en-US``."""
    return language.split("-", 1)[0].lower()


def _tags(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOVA_2 = _tags("bg ca cs da de el en es et fi fr hi hu id it ja ko lt lv ms nl no pl pt ro ru sk sv th tr uk vi zh")
_NOVA_3 = (_NOVA_2 - {"th"}) | _tags("be bn bs hr kn mk mr sl sr ta te tl")
_WHISPER = _tags(
    "af ar az be bg bs ca cs cy da de el en es et fa fi fr gl he hi hr hu hy id is it ja kk kn ko lt lv mi mk mr ms "
    "ne nl no pl pt ro ru sk sl sr sv sw ta th tl tr uk ur vi zh"
)

POCKETSPHINX = Engine(
    name="pocketsphinx",
    service="transcription",
    # Short segments: they spread over the cores, and progress is seen, since it runs at about the speed of speech.
    models=(Model(name="en-us", languages=frozenset({"en"}), word_timestamps=True, max_seconds=15.0),),
    offline=True,
)
DEEPGRAM = Engine(
    name="deepgram",
    service="transcription",
    models=tuple(
        Model(
            name=name,
            languages=languages,
            diarize=True,
            keyterms=keyterms,
            profanity=frozenset({"raw", "masked"}),
            punctuate=True,
            word_timestamps=True,
            usd_per_minute=0.0043,
        )
        for name, languages, keyterms in (("nova-3", _NOVA_3, True), ("nova-2", _NOVA_2, False))
    ),
    max_bytes=2_000_000_000,
    setting="DEEPGRAM_API_KEY",
)
OPENAI = Engine(
    name="openai",
    service="transcription",
    models=(
        # Only whisper-1 gives times of words, which subtitles need; the others get short segments instead.
        Model(name="whisper-1", languages=_WHISPER, punctuate=True, word_timestamps=True, usd_per_minute=0.006),
        Model(
            name="gpt-transcribe",
            languages=_WHISPER,
            keyterms=True,
            punctuate=True,
            max_seconds=30.0,
            usd_per_minute=0.006,
        ),
        Model(name="gpt-4o-transcribe", languages=_WHISPER, punctuate=True, max_seconds=30.0, usd_per_minute=0.006),
        Model(
            name="gpt-4o-mini-transcribe", languages=_WHISPER, punctuate=True, max_seconds=30.0, usd_per_minute=0.003
        ),
        Model(name="gpt-4o-transcribe-diarize", languages=_WHISPER, diarize=True, punctuate=True, usd_per_minute=0.006),
    ),
    max_bytes=26_214_400,
    setting="OPENAI_API_KEY",
)
APERTIUM = Engine(
    name="apertium",
    service="translation",
    models=(Model(name="apertium"),),
    pairs=frozenset({("en", "es"), ("es", "en")}),
    offline=True,
)
OPENAI_TRANSLATION = Engine(
    name="openai",
    service="translation",
    models=(
        Model(name="gpt-4o-mini", usd_per_million_input=0.15, usd_per_million_output=0.60),
        Model(name="gpt-4o", usd_per_million_input=2.50, usd_per_million_output=10.00),
    ),
    setting="OPENAI_API_KEY",
)

ENGINES = (DEEPGRAM, OPENAI, POCKETSPHINX, OPENAI_TRANSLATION, APERTIUM)
"""Every engine there is, paid ones first: with a key in the environment the same command uses that provider."""
