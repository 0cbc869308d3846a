"""Makers of media for tests: every kind of good file, and odd and hostile ones. All are made, none is downloaded."""

import io
import random
import struct
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import imageio_ffmpeg

SAMPLES = Path(__file__).parents[2] / "samples"
"""The committed samples."""

_AUDIO: Mapping[str, Sequence[str]] = {
    "plain.wav": (),
    "24-bit.wav": ("-c:a", "pcm_s24le", "-ar", "48000"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "stereo-96k.wav": ("-ar", "96000", "-ac", "2"),
    "phone-8k.wav": ("-ar", "8000", "-c:a", "pcm_mulaw"),
    "surround.flac": ("-ar", "48000", "-ac", "6"),
    "speech.mp3": ("-ar", "44100", "-c:a", "libmp3lame", "-b:a", "64k"),
    "speech.ogg": ("-ar", "44100", "-c:a", "libvorbis"),
    "speech.opus": ("-c:a", "libopus", "-b:a", "24k"),
    "speech.flac": (),
    "speech.m4a": ("-c:a", "aac"),
    "lossless.m4a": ("-c:a", "alac"),
    "speech.aac": ("-c:a", "aac"),
    "speech.wma": ("-ar", "44100", "-c:a", "wmav2"),
    "speech.aiff": (),
    "speech.amr": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "speech.au": (),
    "speech.caf": ("-c:a", "pcm_s16le"),
    "speech.ac3": ("-ar", "48000", "-c:a", "ac3"),
    "speech.mka": ("-c:a", "libopus"),
}
_VIDEO: Mapping[str, Sequence[str]] = {
    "film.mp4": ("-c:v", "libx264", "-c:a", "aac"),
    "film-faststart.mp4": ("-c:v", "libx264", "-c:a", "aac", "-movflags", "+faststart"),
    "film-fragments.mp4": ("-c:v", "libx264", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "film.mkv": ("-c:v", "libx264", "-c:a", "libvorbis"),
    "film.webm": ("-c:v", "libvpx", "-b:v", "100k", "-c:a", "libopus"),
    "film.mov": ("-c:v", "mpeg4", "-c:a", "pcm_s16be"),
    "film.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "film.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "film.flv": ("-c:v", "flv", "-ar", "44100", "-c:a", "libmp3lame"),
}

KINDS = (*_AUDIO, *_VIDEO)
"""Names that `speech_file` can make: what the file is, with its usual ending."""


@cache
def ffmpeg_program() -> str:
    """The newest ffmpeg at hand, from a wheel."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def make(*arguments: str | Path) -> None:
    """Run ffmpeg to make a file; raises with its errors when it cannot."""
    argv = [ffmpeg_program(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)


def speech_file(kind: str, folder: Path, *, seconds: float = 4.0) -> Path:
    """The monologue's first seconds as one of `KINDS`."""
    path = folder / kind
    spoken = ("-t", str(seconds), "-i", SAMPLES / "monologue.wav")
    if kind in _AUDIO:
        make(*spoken, *_AUDIO[kind], path)
    else:
        picture = ("-f", "lavfi", "-i", f"testsrc=size=64x64:rate=10:duration={seconds}")
        make(*picture, *spoken, *_VIDEO[kind], path)
    return path


def silent_film(folder: Path) -> Path:
    """A video without an audio track."""
    path = folder / "silent-film.mp4"
    make("-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=2", "-c:v", "libx264", path)
    return path


def late_audio(folder: Path, *, late: float, gap: float) -> Path:
    """A film whose sound begins ``late`` s after its picture, lasts 2 s, pauses for ``gap`` s and lasts 2 s more."""
    path = folder / "late.mkv"
    tone = "sine=frequency=440:sample_rate=16000:duration=4"
    shift = f"asetpts='PTS+({late}+if(gte(T,2),{gap},0))/TB'"
    total = late + 4 + gap
    picture = ("-f", "lavfi", "-i", f"testsrc=size=64x64:rate=10:duration={total}")
    make(*picture, "-f", "lavfi", "-i", tone, "-af", shift, "-c:v", "mpeg4", "-c:a", "pcm_s16le", path)
    return path


def silence(folder: Path, *, seconds: float, source: str = "r=48000:cl=stereo") -> Path:
    """Silence as FLAC; ``source`` says the rate and the channels."""
    path = folder / "silence.flac"
    make("-f", "lavfi", "-i", f"anullsrc={source}", "-t", str(seconds), path)
    return path


def long_silence(folder: Path, *, minutes: int, source: str = "r=48000:cl=stereo") -> Path:
    """A decoder bomb: an hour of stereo silence at 48 kHz has 3.6 MB and decodes to 690 MB. One minute is looped."""
    path = folder / "silence.mka"
    make("-stream_loop", str(minutes - 1), "-i", silence(folder, seconds=60, source=source), "-c", "copy", path)
    return path


def tagged(folder: Path, kind: str, **tags: str) -> Path:
    """The monologue's first seconds in a file with a title or other tags, as a kind of `KINDS`."""
    path = folder / f"tagged-{kind}"
    given = [word for name, text in tags.items() for word in ("-metadata", f"{name}={text}")]
    make("-i", speech_file(kind, folder), "-c", "copy", *given, path)
    return path


def many_tracks(folder: Path, *, tracks: int) -> Path:
    """A Matroska file with very many audio tracks."""
    path = folder / "tracks.mka"
    source = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "0.2")
    make(*source, *("-map", "0:a") * tracks, "-c:a", "pcm_s16le", path)
    return path


def encrypted_mp4(folder: Path) -> Path:
    """An MP4 under common encryption, as shops sell it."""
    path = folder / "encrypted.mp4"
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 31 + "1", "-encryption_kid", "0" * 31 + "2")
    make("-t", "3", "-i", SAMPLES / "monologue.wav", "-c:a", "aac", *key, path)
    return path


def cut_off(path: Path, *, keep: float) -> Path:
    """The first part of a file, as an upload that broke off leaves it."""
    whole = path.read_bytes()
    part = path.with_name(f"cut-off-{path.name}")
    part.write_bytes(whole[: int(len(whole) * keep)])
    return part


def zip_bytes() -> bytes:
    """A zip archive; people rename them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.write(SAMPLES / "monologue.wav", "monologue.wav")
    return out.getvalue()


def noise_bytes(size: int = 50_000) -> bytes:
    """Random bytes, always the same."""
    return random.Random(1).randbytes(size)


def wav_bytes(*, channels: int = 1, rate: int = 16_000, claimed: int | None = None, data: bytes = b"") -> bytes:
    """A 16-bit WAV whose header may claim any number of channels and of bytes."""
    size = len(data) if claimed is None else claimed
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", (36 + size) & 0xFFFFFFFF) + b"WAVE" + chunks + data


def playlists(url: str, path: Path) -> Mapping[str, bytes]:
    """Texts that players take for media and that name another address or file, which must never be opened."""
    hls = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n"
    texts = {
        "hls-http.m3u8": hls.format(f"{url}/x.ts"),
        "hls-named.mp3": hls.format(f"{url}/x.ts"),
        "hls-file.m3u8": hls.format(path.as_uri()),
        "hls-path.m3u8": hls.format(path),
        "hls-concat.m3u8": hls.format(f"concat:{path}|{url}/x.ts"),
        "hls-subfile.m3u8": hls.format(f"subfile,,start,0,end,64,,:{path}"),
        "dash.mpd": dash.format(f"{url}/x.mp4"),
        "dash-named.mp4": dash.format(path.as_uri()),
        "concat.txt": f"ffconcat version 1.0\nfile '{path}'\n",
        "concat-http.wav": f"ffconcat version 1.0\nfile {url}/x.wav\n",
        "session.sdp": sdp.format(url.rpartition(":")[2]),
        "reference.mov": "",
        "address.txt": f"{url}/x.mp3\n",
        "image.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/x.png"/></svg>',
    }
    return {name: text.encode() for name, text in texts.items()} | {"reference.mov": _reference_movie(url)}


def _reference_movie(url: str) -> bytes:
    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I4s", len(body) + 8, kind) + body

    address = f"{url}/x.mov".encode() + b"\0"
    rdrf = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(address)), address)
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", box(b"rmra", box(b"rmda", rdrf)))
