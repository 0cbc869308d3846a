"""Settings of the translator."""

from pathlib import Path

from pydantic import Field

from common.settings import CommonSettings


class TranslatorSettings(CommonSettings):
    """Who translates, and how much at once; the providers' keys are in `common.settings.ProviderSettings`."""

    apertium: Path = Field(default=Path("apertium"), description="The apertium program.")
    apertium_seconds: float = Field(default=120.0, gt=0, description="Longest run of Apertium for one call.")
    translation_model: str = Field(default="gpt-4o-mini", description="OpenAI's model for translations.")
    provider_seconds: float = Field(default=90.0, gt=0, description="Longest wait for a provider's answer.")

    @property
    def slots(self) -> int:
        """Translations at once."""
        return self.concurrency or 8
