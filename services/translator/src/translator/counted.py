"""Insisting on one answer for each text, with engines that do not promise it."""

from collections.abc import Awaitable, Callable, Sequence

from translator.ports import Translated

Answer = Callable[[Sequence[str]], Awaitable[tuple[Sequence[str] | None, int, int]]]
"""Asks once; the texts (of any number, or None for no usable answer) and the input and output tokens it took."""


async def counted(texts: Sequence[str], ask: Answer) -> Translated:
    """Ask for all texts at once; where the number of answers is wrong, ask for each half, down to single texts.

    A single text whose answer came in pieces has them joined; one without an answer stays as it was spoken, so that
    one odd utterance does not take a whole translation away.
    """
    answers, given, got = await ask(texts)
    if answers is not None and len(answers) == len(texts):
        return Translated(tuple(" ".join(a.split()) for a in answers), given, got)
    if len(texts) == 1:
        return Translated((" ".join(" ".join(answers or texts).split()),), given, got)
    middle = len(texts) // 2
    first, second = await counted(texts[:middle], ask), await counted(texts[middle:], ask)
    return Translated(
        first.texts + second.texts,
        given + first.input_tokens + second.input_tokens,
        got + first.output_tokens + second.output_tokens,
    )
