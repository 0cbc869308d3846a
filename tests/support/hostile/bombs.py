"""Files whose headers lie, or that cost more than they look: each a name and its bytes, all silent or noise."""

import gzip
import io
import math
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from support import media
from support.hostile import boxes, ebml, riff
from support.hostile.ogg import chained

Named = tuple[str, bytes]


def long_ones(folder: Path, *, hours: int) -> Iterator[Named]:
    """Hours of silence in few bytes."""
    flac = media.long_silence(folder, minutes=60 * hours).read_bytes()
    yield f"{hours} h of silence as FLAC", flac
    for name, options in (("opus", ("-c:a", "libopus", "-b:a", "6k")), ("mp3", ("-ar", "8000", "-b:a", "8k"))):
        minute, path = folder / f"minute.{name}", folder / f"hours-{name}.mka"
        media.make("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono", "-t", "60", *options, minute)
        media.make("-stream_loop", str(hours * 60 - 1), "-i", minute, "-c", "copy", path)
        data = path.read_bytes()
        yield f"{hours} h of silence as {name}", data
    at = data.index(b"\x44\x89\x88") + 3
    for value in (math.nan, math.inf, -1.0, 1e300):
        yield f"{hours} h of silence that claim {value} ms", data[:at] + struct.pack(">d", value) + data[at + 8 :]
    yield "a day at one sample a second", riff.wav(form=riff.wave_format(rate=1, bits=8), data=b"\x80" * 86_400)
    yield "a loop of one frame", boxes.movie(edits=boxes.edit_list([(16_000, 0)] * 20_000))
    yield "a loop of no length", boxes.movie(edits=boxes.edit_list([(0, 0)] * 200_000))
    yield "a loop backwards", boxes.movie(edits=boxes.edit_list([(0x7FFFFFFF, -1), (1, 0x7FFFFFFF)] * 5000))


def crowded(folder: Path, *, scale: int) -> Iterator[Named]:
    """Very many of what there should be few; ``scale`` is 10 at full size."""
    mp3 = media.speech_file("speech.mp3", folder, seconds=0.5).read_bytes()
    tracks = [ebml.track(number) for number in range(1, 1000 * scale + 1)]
    yield f"{len(tracks)} tracks", ebml.matroska(tracks=tracks)
    yield "as many tracks, all with samples", ebml.matroska(tracks=tracks, numbers=range(1, len(tracks) + 1), millis=1)
    yield "a movie of many tracks", boxes.movie(tracks=200 * scale)
    atom = b"".join(ebml.element(0xB6, ebml.element(0x73C4, at) + ebml.element(0x91, at)) for at in range(1, 65_536))
    yield "65,535 chapters", ebml.matroska(more=ebml.element(0x1043A770, ebml.element(0x45B9, atom)))
    tags = b"".join(
        ebml.element(0x7373, ebml.element(0x67C8, ebml.element(0x45A3, f"K{at}") + ebml.element(0x4487, "v" * 50)))
        for at in range(3000 * scale)
    )
    yield "very many tags", ebml.matroska(more=ebml.element(0x1254C367, tags))
    attachment = ebml.element(0x61A7, ebml.element(0x466E, "a.ttf") + ebml.element(0x465C, bytes(1000)))
    yield "very many attachments", ebml.matroska(more=ebml.element(0x1941A469, attachment * (1000 * scale)))
    yield "very many chunks", riff.wav(*[riff.chunk(b"junk", b"")] * (20_000 * scale))
    yield "very many formats", riff.wav(*[riff.wave_format()] * (5000 * scale))
    yield "very many clusters", ebml.matroska(times=range(0, 20_000 * scale, 10), millis=1)
    frames = b"".join(b"TXXX\0\0\0\x06\0\0\0" + b"%d" % (at % 10) + b"\0abc" for at in range(5000 * scale))
    yield "very many ID3 frames", id3(frames) + mp3
    chapters = b"".join(
        b"CHAP" + struct.pack(">IH", 22, 0) + b"%05d" % at + b"\0" + struct.pack(">IIII", at, at + 1, 0, 0)
        for at in range(65_535)
    )
    yield "65,535 ID3 chapters", id3(chapters) + mp3
    yield "a huge cover", id3(b"APIC" + struct.pack(">IH", 2_000_000 * scale, 0) + bytes(2_000_000 * scale)) + mp3
    yield "very many ID3 tags", id3(b"") * (5000 * scale) + mp3
    yield "boxes in boxes", boxes.nested(b"moov", 20_000 * scale)
    yield "tracks in tracks", boxes.box(b"ftyp", b"isom") + boxes.nested(b"trak", 20_000 * scale)
    yield "elements in elements", ebml.HEAD + ebml.nested(0x18538067, 20_000 * scale)
    yield "tags in tags", ebml.HEAD + ebml.element(0x18538067, ebml.element(0x1254C367, ebml.nested(0x67C8, 10_000)))
    yield "lists in lists", riff.riff(b"AVI ", _lists(10_000))


def lying_waves() -> Iterator[Named]:
    """WAV, AIFF, AU and CAF headers that cannot be true."""
    for channels in (0, 100, 255, 1024, 65_535):
        yield (
            f"{channels} channels",
            riff.wav(form=riff.wave_format(channels=channels, block=max(2, channels * 2) & 0xFFFF)),
        )
    for rate in (0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        yield f"{rate} Hz", riff.wav(form=riff.wave_format(rate=rate))
    for bits in (0, 1, 3, 33, 64, 65_535):
        yield f"{bits} bits", riff.wav(form=riff.wave_format(bits=bits, block=2))
    for block in (0, 1, 3, 65_535):
        yield f"blocks of {block}", riff.wav(form=riff.wave_format(block=block))
    for size in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF):
        yield f"{size} bytes of samples", riff.wav(size=size)
        yield f"a chunk of {size} bytes", riff.wav(riff.chunk(b"LIST", b"INFO", size=size))
    for codec in (0, 2, 0x11, 0x31, 0x50, 0x55, 0x92, 0xFF, 0x161, 0x2000, 0x2001, 0x674F, 0xFFFE, 0xFFFF):
        yield f"a WAV of codec {codec:x}", riff.wav(form=riff.wave_format(codec=codec), data=_noise(40_000))
    floats = [math.nan, math.inf, -math.inf, 1e38, -1e38, 1e-45, 0.0]
    data = struct.pack("<7f", *floats) * 4000
    yield "no numbers", riff.wav(form=riff.wave_format(codec=3, bits=32), data=data)
    yield (
        "no numbers, double",
        riff.wav(form=riff.wave_format(codec=3, bits=64), data=struct.pack("<7d", *floats) * 2000),
    )
    yield "a wave without a format", riff.riff(b"WAVE", riff.chunk(b"data", bytes(32_000)))
    yield "a wave without samples", riff.riff(b"WAVE", riff.wave_format())
    yield (
        "RF64 of 2^63 bytes",
        b"RF64\xff\xff\xff\xffWAVE"
        + riff.chunk(b"ds64", struct.pack("<QQQI", 1 << 63, 1 << 63, 1 << 62, 0xFFFFFFFF))
        + riff.wave_format()
        + riff.chunk(b"data", bytes(32_000), size=0xFFFFFFFF),
    )
    for name, number in (("no", "7fffc000000000000000"), ("infinite", "7fff0000000000000000"), ("zero", "0" * 20),
                       ("negative", "c00cfa00000000000000"), ("vast", "60fffa00000000000000")):  # fmt: skip
        yield f"AIFF of {name} rate", riff.aiff(rate=bytes.fromhex(number))
    for channels, frames in ((0, 16_000), (-1, 16_000), (32_767, 1), (1, 0xFFFFFFFF), (1, 0)):
        yield f"AIFF of {channels} channels and {frames} frames", riff.aiff(channels=channels, frames=frames)
    for field in ({"offset": 0}, {"offset": 0xFFFFFFFF}, {"size": 0xFFFFFFFF}, {"codec": 27}, {"codec": 0}, {"rate": 0},
                  {"rate": 0xFFFFFFFF}, {"channels": 0}, {"channels": 65_536}, {"channels": 0xFFFFFFFF}):  # fmt: skip
        yield f"AU with {field}", riff.au(**field)
    for name, speed, packet, frames, channels in (
        ("plain", 16_000.0, 2, 1, 1), ("no rate", math.nan, 2, 1, 1), ("endless rate", math.inf, 2, 1, 1),
        ("no packets", 16_000.0, 0, 0, 1), ("huge packets", 16_000.0, 0xFFFFFFFF, 0xFFFFFFFF, 1),
        ("no channels", 16_000.0, 2, 1, 0), ("all channels", 16_000.0, 2, 1, 0xFFFFFFFF),
    ):  # fmt: skip
        yield f"CAF of {name}", _caf(speed, packet, frames, channels)


def lying_movies() -> Iterator[Named]:
    """MP4, Matroska and others whose structure cannot be true, and what unpacks to more than it is."""
    for size in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        yield f"samples of {size}", boxes.movie(sample_size=size)
        yield f"{size} samples", boxes.movie(count=size)
        yield f"samples at {size}", boxes.movie(offset=size)
        yield f"{size} samples long", boxes.movie(duration=size)
    yield "no clock", boxes.movie(rate=0)
    yield "no channels in a movie", boxes.movie(channels=0)
    yield "all channels in a movie", boxes.movie(channels=65_535)
    for codec in (
        b"alac",
        b"mp4a",
        b"samr",
        b"ac-3",
        b"dtsc",
        b"fLaC",
        b"Opus",
        b"lpcm",
        b"QDM2",
        b"MAC3",
        b"\0\0\0\0",
    ):
        yield f"a movie of {codec!r} that is none", boxes.movie(codec=codec, sample_size=100, count=200)
    head = boxes.box(b"ftyp", b"isom")
    yield "a box of 2^63 bytes", head + struct.pack(">I4sQ", 1, b"moov", (1 << 63) - 1) + bytes(1000)
    yield "a box smaller than its head", head + struct.pack(">I4s", 4, b"moov") + bytes(1000)
    yield "a box until the end", head + struct.pack(">I4s", 0, b"moov") + bytes(1000)
    packed = zlib.compress(bytes(200_000_000), 9)
    cmvd = boxes.box(b"cmvd", struct.pack(">I", 200_000_000), packed)
    cmov = boxes.box(b"cmov", boxes.box(b"dcom", b"zlib"), cmvd)
    yield "a packed index", head + boxes.box(b"moov", cmov)
    yield (
        "a packed index that lies",
        head + boxes.box(b"moov", cmov.replace(struct.pack(">I", 200_000_000), b"\xff" * 4)),
    )
    frame = struct.pack(">I", 200_000_000) + packed
    yield "a packed ID3 frame", id3(b"TIT2" + struct.pack(">IH", len(frame), 0x0080) + frame) + riff.wav()
    compressed = ebml.element(
        0x6D80, ebml.element(0x6240, ebml.element(0x5031, 0) + ebml.element(0x5034, ebml.element(0x4254, 0)))
    )
    entry = ebml.track(1)[9:] + compressed
    bomb = ebml.element(0x1F43B675, ebml.element(0xE7, 0) + ebml.block(1, 0, packed) * 5)
    yield "packed samples", ebml.matroska(tracks=[ebml.element(0xAE, entry)], more=bomb)
    for duration in (math.nan, math.inf, -1.0, 1e300, 3.6e9):
        yield f"a film of {duration} ms", ebml.matroska(duration=duration)
    yield "a film longer than it says", ebml.matroska(duration=1.0, times=range(0, 10_000, 1000))
    for rate in (0.0, -1.0, math.nan, math.inf, 1e300, 1e-300):
        yield f"a film at {rate} Hz", ebml.matroska(tracks=[ebml.track(1, rate=rate)])
    for channels in (0, 65_535, 1 << 40):
        yield f"a film of {channels} channels", ebml.matroska(tracks=[ebml.track(1, channels=channels)])
    for ident in (
        "A_OPUS",
        "A_VORBIS",
        "A_FLAC",
        "A_AAC",
        "A_MS/ACM",
        "A_REAL/COOK",
        "A_TTA1",
        "A_WAVPACK4",
        "A_DTS",
        "A_",
    ):
        yield f"a film of {ident} that is none", ebml.matroska(tracks=[ebml.track(1, codec=ident)])
    year = 365 * 24 * 3_600_000
    yield "a leap of years", ebml.matroska(times=[0, year, 30 * year, 1000])
    yield "time that runs backwards", ebml.matroska(times=range(60_000, 0, -1000), millis=100)
    yield "time without end", ebml.matroska(times=[0, (1 << 62), (1 << 63), (1 << 64) - 1])
    yield (
        "an element of all sizes",
        ebml.HEAD + b"\x18\x53\x80\x67" + ebml.UNKNOWN + ebml.element(0xEC, b"", size=(1 << 56) - 2),
    )
    yield "a track of number 0", ebml.matroska(tracks=[ebml.track(0)], numbers=[0])


def odd_streams(folder: Path, *, scale: int) -> Iterator[Named]:
    """Streams that change under way, chains, garbage behind good heads, packed files under wrong names."""
    ogg = media.speech_file("speech.ogg", folder, seconds=0.2).read_bytes()
    yield "a chain of Ogg streams", chained(ogg, 60 * scale)
    yield "a chain of one Ogg stream", ogg * (200 * scale)
    for name, variants in (
        ("mp3", (("44100", "1"), ("8000", "1"), ("48000", "2"))),
        ("aac", (("44100", "1"), ("8000", "2"), ("96000", "6"))),
        ("ac3", (("48000", "6"), ("32000", "1"), ("44100", "2"))),
        ("opus", (("48000", "1"), ("8000", "2"), ("48000", "6"))),
    ):
        parts = []
        for rate, channels in variants:
            path = folder / f"part-{rate}-{channels}.{name}"
            source = ("-f", "lavfi", "-i", f"anullsrc=r={rate}", "-t", "0.3")
            media.make(*source, "-ar", rate, "-ac", channels, path)
            parts.append(path.read_bytes())
        yield f"{name} that changes under way", b"".join(parts) * (5 * scale)
    zeros = bytes(20_000_000 * scale)
    yield "a gzip bomb", gzip.compress(zeros)
    yield "a gzip of gzips", gzip.compress(gzip.compress(zeros))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", zeros)
    yield "a zip bomb", out.getvalue()
    for magic in (
        b"fLaC", b"OggS", b"RIFF", b"ID3", b"\xff\xfb", b"\xff\xf1", b"#!AMR\n", b"#!AMR-WB\n", b"\x0b\x77", b"MAC ",
        b"\x7f\xfe\x80\x01", b"wvpk", b"TTA1", b"tBaK", b"MPCK", b"MP+", b"FORM", b".snd", b"caff", b"DSD ", b"FLV\1",
        b"\x1aE\xdf\xa3", b"\0\0\0\x18ftypM4A ", b"0&\xb2u", b"\x47" * 3, b"\0\0\x01\xba", b"NuTn",
        b"Creative Voice File",
        b"riff\x2e\x91", b"GIF89a", b"%PDF-1.7", b"<html>", b"\x89PNG\r\n\x1a\n", b"BM", b"MThd", b".RMF", b"SOX ",
    ):  # fmt: skip
        yield f"nothing but {magic!r}", magic
        yield f"noise behind {magic!r}", magic + _noise(30_000)


def id3(frames: bytes) -> bytes:
    """An ID3v2.3 tag."""
    size = len(frames)
    return b"ID3\x03\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + frames


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _lists(depth: int) -> bytes:
    return b"".join(b"LIST" + struct.pack("<I", 12 * inner - 8) + b"hdrl" for inner in range(depth, 0, -1))


def _caf(rate: float, packet: int, frames: int, channels: int) -> bytes:
    description = struct.pack(">d4sIIIII", rate, b"lpcm", 2, packet, frames, channels, 16)
    table = struct.pack(">qqii", *((16_000, 16_000) if frames == 1 else ((1 << 62), (1 << 62))), 0, 0) + bytes(100)
    chunks = ((b"desc", description), (b"pakt", table))
    told = b"".join(kind + struct.pack(">q", len(body)) + body for kind, body in chunks)
    return b"caff\0\1\0\0" + told + b"data" + struct.pack(">q", -1) + bytes(32_004)
