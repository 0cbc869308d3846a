"""The life of the process that decodes one file: shut itself in, decode, tell, end."""

import fcntl
import os
import signal
from contextlib import suppress
from dataclasses import dataclass

from common.audio_formats import AUDIO_FORMATS
from transcoder.worker import kernel
from transcoder.worker.encode import Encoder
from transcoder.worker.extract import Extraction
from transcoder.worker.sandbox import Limits, enter
from transcoder.worker.wire import AUDIO, PCM, PLACE, Ready, send, tell

NAME = "decode-media"
"""What process lists call it."""

_SOURCE, _PIPE = 3, 4


@dataclass(frozen=True)
class Order:
    """What holds for every file: the limits, and after how many seconds of audio to stop."""

    limits: Limits
    max_seconds: float


def live(order: Order, source: int, pipe: int, network_left: bool, target: str | None = None) -> None:
    """Decode ``source`` and write what comes of it to ``pipe``; called in a fresh child, which ends afterwards.

    ``target`` names a format of `common.audio_formats` in which the audio is to come as well.
    """
    _keep_only(source, pipe)
    with suppress(OSError):  # it is only a name
        kernel.rename(NAME.encode())
    held, missing = enter(order.limits)
    (held if network_left else missing).append("no network")
    tell(_PIPE, Ready(held, missing))
    encoder = None if target is None else Encoder(AUDIO_FORMATS[target], _give_at)
    extraction = Extraction(_SOURCE, order.max_seconds, encoder)
    extraction.run(lambda described: tell(_PIPE, described), lambda chunk: send(_PIPE, PCM, chunk))
    tell(_PIPE, extraction.findings)


def _give_at(place: int, data: bytes) -> None:
    send(_PIPE, AUDIO, PLACE.pack(place) + data)


def _keep_only(source: int, pipe: int) -> None:
    """Close every descriptor but the two; what stands in for standard input, output and errors leads nowhere."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    # Copies above the five first: any of the originals may have the number of another's place.
    copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, _PIPE + 1) for fd in (nowhere, nowhere, nowhere, source, pipe)]
    for place, fd in enumerate(copies):
        os.dup2(fd, place)
    os.closerange(_PIPE + 1, os.sysconf("SC_OPEN_MAX"))
