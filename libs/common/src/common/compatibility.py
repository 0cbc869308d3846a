"""The rule of the contract as a check: a newer schema only ever adds fields, and these are optional."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_NOT_ABOVE = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_NOT_BELOW = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NOT_CHANGED = ("pattern", "format", "multipleOf", "uniqueItems")


def violations(old: Schema, new: Schema) -> list[str]:
    """What a change of an event's schema breaks, a line each; empty when it only adds.

    The log keeps old events, and subscribers whom nobody knows read new ones, so both directions count: a field
    must not vanish, become required or optional, or change its type; a constraint must not tighten, and text keeps
    its pattern. An enumeration may gain values.

    Parameters
    ----------
    old, new
        JSON Schemas of one event as pydantic writes them, with their ``$defs``.
    """
    return sorted(set(_node(old, new, old, new, "", frozenset())))


def _node(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, where: str, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
    if any(pair):
        if pair in seen:
            return
        seen |= {pair}
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    befores, afters = _alternatives(old, old_root), _alternatives(new, new_root)
    if len(befores) > 1 or len(afters) > 1:
        yield from _union(befores, afters, old_root, new_root, where, seen)
        return
    before, after = befores[0], afters[0]
    if (was := _kind(before)) != (now := _kind(after)):
        yield f"{where or 'the event'}: was {was}, is {now}"
        return
    yield from _values(before, after, where)
    yield from _constraints(before, after, where)
    yield from _fields(before, after, old_root, new_root, where, seen)
    for inner, label in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(before.get(inner), Mapping) and isinstance(after.get(inner), Mapping):
            yield from _node(before[inner], after[inner], old_root, new_root, where + label, seen)


def _union(
    befores: Sequence[Schema],
    afters: Sequence[Schema],
    old_root: Schema,
    new_root: Schema,
    where: str,
    seen: frozenset[tuple[str, str]],
) -> Iterator[str]:
    """Each alternative must have its like on the other side; the closest of the same type is the one compared."""
    for before in befores:
        likes = [after for after in afters if _kind(after) == _kind(before)]
        if not likes:
            yield f"{where}: can no longer be {_kind(before)}"
            continue
        yield from min((list(_node(before, after, old_root, new_root, where, seen)) for after in likes), key=len)
    for after in afters:
        if not any(_kind(before) == _kind(after) for before in befores):
            yield f"{where}: can now be {_kind(after)}, which readers do not expect"


def _fields(
    before: Schema,
    after: Schema,
    old_root: Schema,
    new_root: Schema,
    where: str,
    seen: frozenset[tuple[str, str]],
) -> Iterator[str]:
    had, has = before.get("properties", {}), after.get("properties", {})
    required, requires = set(before.get("required", ())), set(after.get("required", ()))
    for name, field in had.items():
        path = f"{where}.{name}" if where else name
        if name not in has:
            yield f"{path}: removed"
            continue
        if name in requires - required:
            yield f"{path}: became required"
        if name in required - requires:
            yield f"{path}: became optional, but readers expect it"
        yield from _node(field, has[name], old_root, new_root, path, seen)
    for name in has:
        if name not in had and name in requires:
            yield f"{f'{where}.{name}' if where else name}: new, but required"


def _values(before: Schema, after: Schema, where: str) -> Iterator[str]:
    had, has = _enumerated(before), _enumerated(after)
    if has is None:
        if had is not None:
            yield f"{where}: can now be any value, not only {sorted(map(repr, had))}"
        return
    if had is None:
        yield f"{where}: can now only be one of {sorted(map(repr, has))}"
        return
    for gone in sorted(map(repr, set(had) - set(has))):
        yield f"{where}: can no longer be {gone}"


def _constraints(before: Schema, after: Schema, where: str) -> Iterator[str]:
    for name in _NOT_ABOVE:
        if name in after and (name not in before or after[name] > before[name]):
            yield f"{where}: {name} rose from {before.get(name, 'none')} to {after[name]}"
    for name in _NOT_BELOW:
        if name in after and (name not in before or after[name] < before[name]):
            yield f"{where}: {name} fell from {before.get(name, 'none')} to {after[name]}"
    for name in _NOT_CHANGED:
        if before.get(name) != after.get(name):
            yield f"{where}: {name} changed from {before.get(name, 'none')} to {after.get(name, 'none')}"


def _resolved(node: Schema, root: Schema) -> Schema:
    while "$ref" in node:
        node = root["$defs"][str(node["$ref"]).removeprefix("#/$defs/")]
    return node


def _alternatives(node: Schema, root: Schema) -> list[Schema]:
    found = node.get("anyOf") or node.get("oneOf")
    return [_resolved(one, root) for one in found] if found else [node]


def _enumerated(node: Schema) -> list[Any] | None:
    if "const" in node:
        return [node["const"]]
    values: list[Any] | None = node.get("enum")
    return values


def _kind(node: Schema) -> str:
    return str(node.get("type", "anything"))
