"""Which plug-ins there are: entry points of installed packages, read without importing any plug-in's code."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

GROUP = "scribewire.plugins"
"""The entry-point group; an entry point's name is the plug-in's."""


def installed() -> Mapping[str, EntryPoint]:
    """Every plug-in by its name, in order of names; reads the metadata of all packages: call it once, at start.

    Where two packages have one name, the first on the path counts.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def unknown(asked: Iterable[str], known: Sequence[str]) -> str | None:
    """What is wrong with a choice of plug-ins, naming those there are; None when nothing is."""
    missing = [name for name in dict.fromkeys(asked) if name not in known]
    if not missing:
        return None
    return f"There is no plug-in {', '.join(missing)}; there is {', '.join(known) or 'none'}."
