"""Does once, before any worker is forked, what each of them would otherwise do first: imports, and tables of codecs."""

import importlib
import tempfile
import wave
from contextlib import suppress

from av import FFmpegError
from av.codec.context import CodecContext

from transcoder.ports import RATE, SAMPLE_BYTES
from transcoder.worker.extract import Extraction
from transcoder.worker.resample import Form, prepare
from transcoder.worker.seccomp import program

_IMPORTED_LATE = (
    "av.audio.stream", "av.subtitles.stream", "av.video.stream",
    "av.audio.codeccontext", "av.subtitles.codeccontext", "av.video.codeccontext",
)  # fmt: skip
"""What PyAV imports when a file first needs it; in its sandbox a worker could not."""

_COMMON = ("mp3float", "aac", "opus", "flac", "vorbis", "alac", "wmav2")

_FORMS = [
    Form(rate, samples, layout)
    for rate in (44_100, 48_000)
    for samples in ("fltp", "s16")
    for layout in ("mono", "stereo")
] + [Form(16_000, "s16", "mono")]
"""What most files decode to; a chain for frames of another form is made when the first comes."""


def warm_up() -> None:
    """Import everything, decode a second of silence of our own making, and make the common chains of filters."""
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    with suppress(OSError):  # then each worker finds the same, and names the layer as missing
        program()
    for codec in _COMMON:
        try:
            CodecContext.create(codec, "r").open()
        except (FFmpegError, ValueError):
            pass  # it wants to be told more first; then its worker makes the tables
    with tempfile.TemporaryFile() as file:
        with wave.open(file, "wb") as silence:
            silence.setnchannels(2)
            silence.setsampwidth(SAMPLE_BYTES)
            silence.setframerate(3 * RATE)
            silence.writeframes(bytes(3 * RATE * 2 * SAMPLE_BYTES))
        file.seek(0)
        Extraction(file.fileno(), 10.0).run(lambda _: None, lambda _: None)
    prepare(_FORMS)
