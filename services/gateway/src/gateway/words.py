"""What is wrong with a value, in words for people rather than pydantic's."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "literal_error": "must be {expected}",
        "value_error": "{error}",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "int_parsing_size": "is too large a number",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "string_type": "must be text",
        "string_unicode": "has characters that are not Unicode",
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "may have at most {max_length} characters",
        # Language tags are the only texts with a pattern.
        "string_pattern_mismatch": "must be a language tag such as 'en' or 'pt-BR'",
        "tuple_type": "must be a list",
        "timezone_aware": "must say its time zone, as 2026-01-31T12:00:00Z does",
        "datetime_parsing": "must be a time such as 2026-01-31T12:00:00Z",
        "datetime_from_date_parsing": "must be a time such as 2026-01-31T12:00:00Z",
        "datetime_type": "must be a time such as 2026-01-31T12:00:00Z",
        "list_type": "must be a list",
        "too_short": "must have at least {min_length} of them",
        "too_long": "may have at most {max_length} of them",
        "date_from_datetime_parsing": "must be a day such as 2026-11-21",
        "date_parsing": "must be a day such as 2026-11-21",
        "date_from_datetime_inexact": "must be a day such as 2026-11-21",
        "model_type": "must be a JSON object",
        "model_attributes_type": "must be a JSON object",
    }
)


def in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, as what comes after the name of the field.

    Parameters
    ----------
    error
        One error of pydantic.
    model
        What the request was read into; its fields are what there is.
    """
    for part in error["loc"][:-1]:
        field = model.model_fields.get(str(part))
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    if error["type"] == "extra_forbidden":
        return f"is unknown; there are {', '.join(model.model_fields)}"
    return _WORDS.get(error["type"], "is not valid").format_map(error.get("ctx", {}))
