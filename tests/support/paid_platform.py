"""A running platform whose transcriber pays a provider of ours, for benches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from support.fake_deepgram import FakeDeepgram
from support.running import Running, running
from support.thread_loop import ThreadLoop


@contextmanager
def paid_platform(env: Mapping[str, str] | None = None, **provider: Any) -> Iterator[tuple[Running, FakeDeepgram]]:
    """A platform that is up inside the block, and its provider; ``provider`` is how `FakeDeepgram` is made."""
    loop = ThreadLoop()
    try:
        with loop.entered(FakeDeepgram(**provider)) as engine:
            paid = {"DEEPGRAM_API_KEY": engine.key, "DEEPGRAM_BASE_URL": engine.url}
            with running({**(env or {}), **paid}) as platform:
                yield platform, engine
    finally:
        loop.close()
