"""Cutting a transcript's texts into calls of a size a provider takes."""

from collections.abc import Sequence


def batches(texts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Consecutive groups of at most ``size`` characters together; a text longer than that is a group alone."""
    groups: list[tuple[str, ...]] = []
    group: list[str] = []
    length = 0
    for text in texts:
        if group and length + len(text) > size:
            groups.append(tuple(group))
            group, length = [], 0
        group.append(text)
        length += len(text)
    if group:
        groups.append(tuple(group))
    return groups
