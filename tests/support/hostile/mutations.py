"""Good media with seeded damage."""

import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence


def mutants(originals: Mapping[str, bytes], *, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged copies of files, each told by the file's name and a number that makes it again."""
    names = sorted(originals)
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        name = names[number % len(names)]
        data = bytearray(originals[name])
        for _ in range(chance.choice((1, 1, 2, 5))):
            chance.choice(_DAMAGES)(chance, data)
        if chance.random() < 0.1:
            data = data[: len(data) // 2] + bytearray(originals[chance.choice(names)])
        yield f"{name} mutated as {seed}/{number}", bytes(data)


def _flips(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice((1, 4, 16, 64))):
        if data:
            data[_early(chance, data)] ^= 1 << chance.randrange(8)


def _number(chance: random.Random, data: bytearray) -> None:
    """A field becomes a number at which arithmetic breaks."""
    at = _early(chance, data)
    value = chance.choice((0, 1, 0x7F, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0))
    kind = chance.choice(("<I", ">I", "<H", ">H"))
    data[at : at + struct.calcsize(kind)] = struct.pack(kind, value & (0xFFFF if "H" in kind else 0xFFFFFFFF))


def _fill(chance: random.Random, data: bytearray) -> None:
    start, end = _run(chance, data)
    data[start:end] = bytes([chance.choice((0, 0xFF, 0x80, chance.randrange(256)))]) * (end - start)


def _noise(chance: random.Random, data: bytearray) -> None:
    start, end = _run(chance, data)
    data[start:end] = chance.randbytes(end - start)


def _repeat(chance: random.Random, data: bytearray) -> None:
    start, end = _run(chance, data)
    data[start:start] = data[start:end] * chance.choice((1, 2, 50))


def _drop(chance: random.Random, data: bytearray) -> None:
    start, end = _run(chance, data)
    del data[start:end]


def _end(chance: random.Random, data: bytearray) -> None:
    del data[_early(chance, data) :]


def _insert(chance: random.Random, data: bytearray) -> None:
    at = _early(chance, data)
    data[at:at] = chance.randbytes(chance.choice((1, 2, 3, 100)))


def _early(chance: random.Random, data: Sequence[int]) -> int:
    """A place; half of them among the first 512 bytes, where the headers are."""
    return chance.randrange(max(1, min(len(data), 512 if chance.random() < 0.5 else len(data))))


def _run(chance: random.Random, data: Sequence[int]) -> tuple[int, int]:
    start = _early(chance, data)
    return start, min(len(data), start + chance.choice((1, 4, 32, 500, 5000)))


_DAMAGES: Sequence[Callable[[random.Random, bytearray], None]] = (
    _flips, _flips, _number, _number, _fill, _noise, _repeat, _drop, _end, _insert,
)  # fmt: skip
