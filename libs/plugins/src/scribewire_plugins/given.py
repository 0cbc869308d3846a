"""Numbers among a job's settings, which an operator or another plug-in may have set."""

from common.plugins import Settings


def number(settings: Settings, name: str, default: float, *, least: float, most: float) -> float:
    """A setting between two bounds; the default when it is not there.

    Raises
    ------
    TypeError
        When it is no number; the plug-in fails then, instead of working with another value than was meant.
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name} is a number"
        raise TypeError(msg)
    return min(max(float(value), least), most)
