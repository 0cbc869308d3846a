"""Loudness normalisation after EBU R 128, measured and limited by FFmpeg's filters."""

import math
from collections.abc import Iterable
from fractions import Fraction

import av
from av import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.filter import Graph

from common.plugins import Audio, Plugin, Settings
from scribewire_plugins.given import number

TARGET = -23.0
"""LUFS; the level of broadcasts."""

MOST_GAIN = 30.0
"""dB; what is quieter is more noise than speech."""

BACKGROUND = 20.0
"""LU below the loudest passage so far: such a passage has no speech, and is changed no more than the one before."""

_PEAK = 0.89
"""Full scale less 1 dB: what a peak may have after a gain."""

_SILENCE = -69.0
"""LUFS; what is quieter is behind the gate of R 128 and has no loudness."""

_CHUNK = 16_000
_AT_LEAST = 3 * _CHUNK
"""Samples for one measurement: with less there may be no whole 400 ms block of speech to go by."""


class Loudness(Plugin):
    """Brings each passage to ``loudness_target`` (-23) LUFS.

    A passage is a minute at most and ends in a pause, so a speaker who moves away from the microphone is brought back,
    and the level never changes in a word. ``loudness_gain_db`` tells plug-ins behind it what the last gain was.
    """

    def __init__(self) -> None:
        self._loudest = -math.inf
        self._gain = 0.0

    def get_name(self) -> str:
        """Its name."""
        return "loudness"

    def pre_process(self, audio: Audio, settings: Settings) -> Audio:
        """Bring a passage to its target."""
        target = number(settings, "loudness_target", TARGET, least=-40, most=-9)
        measured = integrated(audio)
        if measured is not None and measured > self._loudest - BACKGROUND:
            self._loudest = max(self._loudest, measured)
            self._gain = min(target - measured, MOST_GAIN)
        settings["loudness_gain_db"] = round(self._gain, 2)
        return audio if self._gain == 0 else audio.with_pcm(_gained(audio, self._gain))


def integrated(audio: Audio) -> float | None:
    """Integrated loudness in LUFS of some audio, None where there is nothing but silence."""
    pcm = audio.pcm
    if not pcm:
        return None
    if audio.samples < _AT_LEAST:  # said over again, it is as loud
        pcm *= -(-_AT_LEAST // audio.samples)
    told = None
    for frame in _filtered(pcm, audio.rate, [("ebur128", "metadata=1")]):
        told = frame.metadata.get("lavfi.r128.I", told)
    loudness = -math.inf if told is None else float(told)
    return loudness if loudness > _SILENCE else None


def _gained(audio: Audio, gain_db: float) -> bytes:
    """The same samples, louder; what would be beyond full scale is held back for some milliseconds around it."""
    filters = [
        ("volume", f"{gain_db}dB:precision=float"),
        ("alimiter", f"limit={_PEAK}:attack=5:release=50:level=false:latency=true"),
    ]
    frames = _filtered(audio.pcm, audio.rate, filters)
    pcm = b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
    return pcm[: len(audio.pcm)].ljust(len(audio.pcm), b"\0")


def _filtered(pcm: bytes, rate: int, filters: Iterable[tuple[str, str]]) -> Iterable[AudioFrame]:
    graph = Graph()
    graph.threads = 1
    source = graph.add_abuffer(sample_rate=rate, format="s16", layout="mono", time_base=Fraction(1, rate))
    sink = graph.add("abuffersink")
    form = graph.add("aformat", f"sample_fmts=s16:channel_layouts=mono:sample_rates={rate}")
    graph.link_nodes(source, *(graph.add(name, said) for name, said in filters), form, sink).configure()
    for at in range(0, len(pcm), 2 * _CHUNK):
        source.push(_frame(pcm[at : at + 2 * _CHUNK], rate, at // 2))
        yield from _ready(sink)
    source.push(None)
    yield from _ready(sink)


def _frame(pcm: bytes, rate: int, position: int) -> AudioFrame:
    frame = AudioFrame("s16", "mono", len(pcm) // 2)
    frame.sample_rate = rate
    frame.pts = position
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    return frame


def _ready(sink: av.filter.context.FilterContext) -> Iterable[AudioFrame]:
    while True:
        try:
            frame = sink.pull()
        except (NothingYet, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)  # noqa: S101 - the sink is one of audio
        yield frame
