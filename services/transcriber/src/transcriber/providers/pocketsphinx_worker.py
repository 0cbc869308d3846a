"""A process that recognises speech with pocketsphinx: requests in on stdin, answers out on stdout, one at a time.

Both are JSON behind a four-byte big-endian length. It ends when stdin ends, and on Linux also in mid-work when its
parent dies, so that no recogniser outlives its service.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

Heard = tuple[str, float, float, float]

RATE = 16_000
FRAMES_PER_SECOND = 100
LONGEST_WORD = 2.0
SETTINGS: dict[str, Any] = {
    # Chosen on the samples and real recordings: without the second, flat pass it is a fifth faster at the same error
    # rate, and the two caps bound the time of noisy audio without costing words.
    "fwdflat": False,
    "maxhmmpf": 10_000,
    "maxwpf": 20,
    "loglevel": "FATAL",
}
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux for a SIGKILL when the parent dies; end at once when it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def words(segments: Any, voiced: Callable[[float, float], bool]) -> list[Heard]:
    """Words with start, end (seconds) and confidence, from a decoder's segmentation.

    Left out are silences and noises, the number of a word's other pronunciation, as in ``was(2)``, and what the decoder
    makes of silence and music: words in which nothing is ``voiced``, and words longer than anybody speaks.
    """
    found = []
    for segment in segments:
        word = segment.word.split("(", 1)[0]
        start, end = segment.start_frame / FRAMES_PER_SECOND, (segment.end_frame + 1) / FRAMES_PER_SECOND
        if word.startswith(("<", "[", "++")) or end - start > LONGEST_WORD or not voiced(start, end):
            continue
        found.append((word, start, end, round(min(1.0, max(0.0, segment.prob)), 4)))
    return found


class Decoder:
    """A warm decoder with the English model of the wheel."""

    def __init__(self) -> None:
        import pocketsphinx  # noqa: PLC0415 - only this process loads the library

        self._decoder = pocketsphinx.Decoder(**SETTINGS)
        self._vad = pocketsphinx.Vad(mode=pocketsphinx.Vad.LOOSE, sample_rate=RATE, frame_length=0.03)

    def __call__(self, path: Path) -> list[Heard]:
        """Words of a 16 kHz mono 16-bit WAV file."""
        with wave.open(str(path), "rb") as wav:
            if (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) != (RATE, 1, 2):
                msg = "the audio is not 16 kHz mono 16-bit"
                raise ValueError(msg)
            pcm = wav.readframes(wav.getnframes())
        size, length = self._vad.frame_bytes, self._vad.frame_length
        flags = [self._vad.is_speech(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]
        if not any(flags):
            return []
        # What was heard before must not change what is heard now: the same audio always gives the same words.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        finally:
            self._decoder.end_utt()
        return words(
            self._decoder.seg() or (), lambda start, end: any(flags[int(start / length) : int(end / length) + 1])
        )


def read(stream: BinaryIO) -> Any:
    """The next message, or None at the end."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return json.loads(stream.read(struct.unpack(">I", head)[0]))


def write(stream: BinaryIO, message: Any) -> None:
    """Send a message."""
    body = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def main(parent: int) -> None:
    """Answer requests until there are no more."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A library that prints must not break the protocol: answers get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(5)  # the event loops beside it keep their heartbeats
    decoder = Decoder()
    write(answers, {"ready": True})
    while (request := read(sys.stdin.buffer)) is not None:
        try:
            write(answers, {"words": decoder(Path(request["audio"]))})
        except OSError as error:  # a disk's trouble is not the audio's
            write(answers, {"unreadable": error.strerror or type(error).__name__})
        except (EOFError, ValueError, wave.Error) as error:
            write(answers, {"error": str(error) or type(error).__name__})


if __name__ == "__main__":
    main(int(sys.argv[1]))
