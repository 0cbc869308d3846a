"""Brings decoded frames to 16 kHz, one channel, 16 bit, and measures how loud they are on the way."""

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple, Self

import av
from av import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.filter import Graph

from transcoder.ports import RATE, SAMPLE_BYTES

CHUNK = 32_768
"""Samples of one chunk: two seconds. The chain is asked for one after each second that it was fed."""

_SILENCE = 8192
"""Samples of a frame of silence."""

_MEASURED = re.compile(r"(n_samples|mean_volume|max_volume): (-?[\d.]+)")


class Loudness:
    """Mean power and peak of all samples, collected from as many graphs as a file needs."""

    def __init__(self) -> None:
        self._samples = 0
        self._fresh = 0
        self._power = 0.0
        self._peak = -math.inf

    def add(self, told: str) -> None:
        """Take a line that `volumedetect` logged; it counts its samples before it says how loud they were."""
        for name, value in _MEASURED.findall(told):
            if name == "n_samples":
                self._fresh = int(value)
                self._samples += self._fresh
            elif name == "mean_volume":
                self._power += self._fresh * 10 ** (float(value) / 10)
            else:
                self._peak = max(self._peak, float(value))

    @property
    def mean_dbfs(self) -> float | None:
        """Mean power, None without a sample."""
        return round(10 * math.log10(self._power / self._samples), 1) if self._power else None

    @property
    def peak_dbfs(self) -> float | None:
        """The loudest sample, None without one."""
        return self._peak if self._samples else None


class Form(NamedTuple):
    """What the frames of a stream have in common: samples a second, and the libraries' names of format and layout."""

    rate: int
    samples: str
    layout: str

    @classmethod
    def of(cls, frame: AudioFrame) -> Self:
        """The form of a frame."""
        return cls(frame.sample_rate, frame.format.name, frame.layout.name)


def silent(form: Form, samples: int) -> Iterator[AudioFrame]:
    """That much silence, a little at a time."""
    while samples > 0:
        frame = AudioFrame(form.samples, form.layout, min(samples, _SILENCE))
        frame.sample_rate = form.rate
        # PyAV names one plane too many where there are eight: writing to it ends the process.
        for plane in frame.planes[: frame.layout.nb_channels if frame.format.is_planar else 1]:
            plane.update((b"\x80" if form.samples.startswith("u8") else b"\0") * plane.buffer_size)
        samples -= frame.samples
        yield frame


class Resampler:
    """One chain of filters for frames of one form; a file that changes its form in mid-stream needs another."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._position = 0
        self._due = 0
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_abuffer(
            sample_rate=form.rate,
            format=form.samples,
            layout=form.layout,
            time_base=Fraction(1, form.rate),
        )
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(
            self._source,
            self._graph.add("aresample", str(RATE)),
            self._graph.add("aformat", f"sample_fmts=s16:channel_layouts=mono:sample_rates={RATE}"),
            self._graph.add("volumedetect"),
            self._graph.add("asetnsamples", f"n={CHUNK}:p=0"),
            self._sink,
        ).configure()

    def feed(self, frame: AudioFrame) -> Iterable[memoryview]:
        """Take a frame; return the chunks that are full.

        Raises
        ------
        av.error.ArgumentError
            When the frame has another form than the first; it is as it was, and another chain can take it.
        """
        frame.pts = self._position
        self._source.push(frame)
        self._position += frame.samples
        if self._position < self._due:
            return ()
        self._due = self._position + self._form.rate
        return self._chunks()

    def feed_silence(self, samples: int) -> Iterator[memoryview]:
        """Take that much silence, a little at a time; yield the chunks that are full."""
        for frame in silent(self._form, samples):
            yield from self.feed(frame)

    def finish(self) -> Iterator[memoryview]:
        """Yield what is left."""
        self._source.push(None)
        return self._chunks()

    def close(self) -> None:
        """Take the chain down, at which it logs how loud its audio was; it cannot be used any more."""
        del self._source, self._sink, self._graph

    def _chunks(self) -> Iterator[memoryview]:
        while True:
            try:
                chunk = self._sink.pull()
            except (NothingYet, av.error.EOFError):
                return
            assert isinstance(chunk, AudioFrame)  # noqa: S101 - the sink is one of audio
            yield memoryview(chunk.planes[0])[: chunk.samples * SAMPLE_BYTES]


_prepared: dict[Form, Resampler] = {}


def prepare(forms: Iterable[Form]) -> None:
    """Make chains that are used once each, by whoever asks first; a process that is forked has all of them anew."""
    for form in forms:
        _prepared[form] = Resampler(form)


def resampler_for(frame: AudioFrame) -> Resampler:
    """A chain that has had no frame yet, for those like this one."""
    form = Form.of(frame)
    return _prepared.pop(form, None) or Resampler(form)
