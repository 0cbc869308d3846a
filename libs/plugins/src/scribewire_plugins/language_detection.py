"""Language detection from the text of a transcript, offline, by py3langid."""

from collections.abc import Sequence

from common.plugins import Plugin, Settings

LETTERS = 20
"""A text with fewer says too little."""

CONFIDENCE = 0.5
"""Below this probability no language is named."""

EXCERPT = 20_000
"""Characters that are looked at; more do not change the answer."""

LANGUAGES = (
    "af", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fa",
    "fi", "fr", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "km", "kn",
    "ko", "lo", "lt", "lv", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl", "no", "pa", "pl", "pt", "ro",
    "ru", "si", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "uz", "vi", "zh",
)  # fmt: skip
"""ISO 639-1 codes among which it chooses: languages that engines recognise."""


class LanguageDetection(Plugin):
    """Sets ``detected_language`` to the ISO 639-1 code of the language a transcript is written in, or leaves it.

    It goes by the text, which mostly is in the language the engine was told; ``language`` is not changed. A setting
    ``detectable_languages``, a list of codes, narrows the choice.
    """

    def get_name(self) -> str:
        """Its name."""
        return "language_detection"

    def post_process(self, text: str, settings: Settings) -> str:
        """Look at the text; it stays as it is."""
        if sum(map(str.isalpha, text)) >= LETTERS or _unspaced(text):
            language, confidence = _classify(text[:EXCERPT], settings.get("detectable_languages") or LANGUAGES)
            if confidence >= CONFIDENCE:
                settings["detected_language"] = language
                settings["detected_language_confidence"] = round(confidence, 4)
        return text


def _unspaced(text: str) -> bool:
    """Whether it is written in signs that each stand for more than a letter."""
    return sum("぀" <= sign <= "鿿" or "가" <= sign <= "힣" for sign in text) >= LETTERS // 3


def _classify(text: str, among: Sequence[str]) -> tuple[str, float]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - its model takes a second to load

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = set(identifier.labels)
    identifier.set_languages([code for code in among if code in known] or None)
    language, confidence = identifier.classify(text)
    return str(language), float(confidence)
