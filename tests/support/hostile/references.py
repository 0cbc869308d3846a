"""Files that name other files and addresses: playlists, manifests, redirections, movies with outside data."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from support import media
from support.hostile import boxes, ebml, riff
from support.hostile.canary import Canary

ENDINGS = ("", ".mp3", ".mp4", ".wav", ".m3u8")
"""Names that the same bytes come under."""

_HLS = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:10\n"


def targets(canary: Canary) -> Iterator[str]:
    """Every way to write down what must not be opened."""
    yield f"{canary.url}/x.wav"
    for path in canary.files:
        yield str(path)
        yield path.as_uri()
        yield f"../../../../../../../../..{path}"


def wrapped(canary: Canary) -> Iterator[str]:
    """The same through protocols that open another address for their caller, or that are their own."""
    file, web = canary.files[0], f"{canary.url}/x.wav"
    for inner in (file, web):
        yield f"subfile,,start,0,end,0,,:{inner}"
        yield f"concat:{inner}|{inner}"
        yield f"concatf:{inner}"
        yield f"crypto:{inner}"
        yield f"crypto+{inner}"
        yield f"async:{inner}"
        yield f"cache:{inner}"
        yield f"hls+{inner}"
        yield f"ffrtmphttp:{inner}"
    for scheme in ("tcp", "tls", "rtsp", "rtmp", "gopher", "ftp", "mmsh", "mmst", "icecast", "srt", "ws", "https"):
        yield f"{scheme}://127.0.0.1:{canary.tcp}/x"
    for scheme in ("udp", "rtp", "udplite", "sctp", "rist"):
        yield f"{scheme}://127.0.0.1:{canary.udp}"
    yield f"unix:{file}"
    yield "fd:0"
    yield "pipe:0"
    yield "/proc/self/environ"
    yield "/proc/self/mem"
    yield "/dev/stdin"
    yield "data:audio/wav;base64,UklGRiQAAABXQVZFZm10IA=="


def playlists(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Texts that players follow, one of each kind for each target, and the plainest for each wrapped one."""
    for number, target in enumerate(targets(canary)):
        for name, text in _texts(target, quoteattr(target)).items():
            yield f"{name} {number}", text.encode()
    for number, target in enumerate(wrapped(canary)):
        yield f"hls wrapped {number}", f"{_HLS}#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode()
        yield f"concat wrapped {number}", f"ffconcat version 1.0\nfile '{target}'\n".encode()
        yield f"address wrapped {number}", target.encode()
    for name, line in (("tcp", canary.tcp), ("udp", canary.udp)):
        for kind in ("RTP/AVP 0", "RTP/AVP 96\r\na=rtpmap:96 opus/48000/2", "TCP/RTP/AVP 0"):
            text = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {line} {kind}\r\n"
            yield f"sdp {name} {kind[:12]}", text.encode()
    yield "rtp packet", struct.pack(">BBHII", 0x80, 0, 1, 0, 7) + bytes(1600)
    yield "rtsp answer", f"RTSP/1.0 302 Moved\r\nLocation: {canary.url}/x\r\n\r\n".encode()


def _texts(target: str, quoted: str) -> Mapping[str, str]:
    # `quoted` is the target as an attribute's value with its quotes.
    def dash(inner: str) -> str:
        return (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
            f'<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">{inner}</Representation>'
            "</AdaptationSet></Period></MPD>"
        )

    return {
        "hls": f"{_HLS}#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
        "hls master": f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\n{target}\n',
        "hls rendition": f'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",DEFAULT=YES,URI="{target}"\n'
        f'#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n{target}\n',
        "hls key": f'{_HLS}#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n',
        "hls map": f'{_HLS}#EXT-X-MAP:URI="{target}",BYTERANGE="64@0"\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n',
        "hls range": f"{_HLS}#EXTINF:10,\n#EXT-X-BYTERANGE:64@0\n{target}\n#EXT-X-ENDLIST\n",
        "dash base": dash(f"<BaseURL>{target}</BaseURL>"),
        "dash list": dash(
            f"<SegmentList><Initialization sourceURL={quoted}/><SegmentURL media={quoted}/></SegmentList>"
        ),
        "dash template": dash(f'<SegmentTemplate initialization={quoted} media={quoted} duration="1"/>'),
        "dash entity": f'<?xml version="1.0"?><!DOCTYPE MPD [<!ENTITY x SYSTEM {quoted}>]><MPD>&x;</MPD>',
        "concat": f"ffconcat version 1.0\nfile '{target}'\nduration 10\n",
        "concat bare": f"file '{target}'\n",
        "concat options": f"ffconcat version 1.0\nfile '{target}'\noption protocol_whitelist file,http,tcp\n",
        "smil": f"<smil><head><meta base={quoted}/></head><body><audio src={quoted}/></body></smil>",
        "smooth": f'<SmoothStreamingMedia><StreamIndex Type="audio" Url={quoted}/></SmoothStreamingMedia>',
        "f4m": f'<manifest xmlns="http://ns.adobe.com/f4m/1.0"><media url={quoted}/></manifest>',
        "m3u": f"#EXTM3U\n#EXTINF:10,x\n{target}\n",
        "pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\nVersion=2\n",
        "cue": f'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "xspf": f'<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>{target}</location>'
        "</track></trackList></playlist>",
        "asx": f"<asx version='3.0'><entry><ref href={quoted}/></entry></asx>",
        "wpl": f"<?wpl version='1.0'?><smil><body><seq><media src={quoted}/></seq></body></smil>",
        "ram": f"{target}\n--stop--\n",
        "asf redirector": f"[Reference]\r\nRef1={target}\r\nRef2={target}\r\n",
        "qtl": f'<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?><embed src={quoted}/>',
        "rtsp text": f"RTSPtext{target}",
        "imf": f'<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2013"><Id>{target}</Id>'
        "</CompositionPlaylist>",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href={quoted}/></svg>',
        "vobsub": f"# VobSub index file, v7 (do not modify this line!)\n# {target}\nid: en, index: 0\n",
        "avisynth": f'AviSource("{target}")\n',
        "vapoursynth": f"import vapoursynth\nopen({target!r}).read()\n",
        "filter": f"amovie={target}\n",
        "metadata": f";FFMETADATA1\ntitle={target}\n",
        "images": f"{target}%03d.png\n",
        "address": target,
        "byte order": f"\ufeff{_HLS}#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    }


def containers(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Real containers, silent themselves, that name the targets."""
    for number, target in enumerate(targets(canary)):
        for name, data in _containers(target).items():
            yield f"{name} {number}", data
    for target in (str(canary.files[0]), f"{canary.url}/x.wav"):
        hls = f"{_HLS}#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
        yield "avi with a playlist as subtitles", riff.avi_with_subtitles(hls.encode())
        xbin = b"XBIN\x1a\x20\0\x01\0\x10\0" + bytes(200)
        yield "avi with a picture and a playlist as subtitles", riff.avi_with_subtitles(xbin + hls.encode())
        yield "zip", _zip({"a.m3u8": hls.encode(), target.strip("/"): b"x"})
        yield "tar", _tar(hls.encode(), target)
        yield "mp3 behind a playlist", hls.encode() + bytes(2000) + b"\xff\xfb\x90\x64" + bytes(413)


def _containers(target: str) -> Mapping[str, bytes]:
    address = target.encode() + b"\0"
    uid = bytes(range(16))
    linked = (
        ebml.element(0x73A4, uid) + ebml.element(0x3CB923, uid[::-1]) + ebml.element(0x3C83AB, target)
        + ebml.element(0x3EB923, uid[::-1]) + ebml.element(0x3E83BB, target) + ebml.element(0x7384, target)
    )  # fmt: skip
    chapter = ebml.element(
        0x1043A770,
        ebml.element(
            0x45B9,
            ebml.element(0xB6, ebml.element(0x73C4, 1) + ebml.element(0x91, 0) + ebml.element(0x6E67, uid[::-1])),
        ),
    )
    attached = ebml.element(
        0x1941A469,
        ebml.element(
            0x61A7,
            ebml.element(0x466E, target) + ebml.element(0x4660, "application/vnd.apple.mpegurl")
            + ebml.element(0x465C, f"{_HLS}#EXTINF:1,\n{target}\n") + ebml.element(0x46AE, 7),
        ),
    )  # fmt: skip
    tag = ebml.element(
        0x1254C367,
        ebml.element(0x7373, ebml.element(0x67C8, ebml.element(0x45A3, "URL") + ebml.element(0x4487, target))),
    )
    link = boxes.reference(b"url ", target)
    descriptor = boxes.full(b"rdrf", b"url ", struct.pack(">I", len(address)), address)
    meta = boxes.full(
        b"meta",
        boxes.full(b"hdlr", bytes(4), b"null", bytes(13)),
        boxes.full(b"xml ", f"<x href={quoteattr(target)}/>".encode() + b"\0"),
        boxes.box(b"dinf", boxes.full(b"dref", struct.pack(">I", 1), link)),
        boxes.full(b"iinf", struct.pack(">H", 1), boxes.full(b"infe", struct.pack(">HH", 1, 0), b"uri ", address)),
    )
    picture = b"\x00-->\0\x03\0" + target.encode()
    apic = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    wxxx = b"WXXX" + struct.pack(">IH", len(address) + 1, 0) + b"\0" + address
    frames = apic + wxxx
    size = bytes([len(frames) >> 21 & 127, len(frames) >> 14 & 127, len(frames) >> 7 & 127, len(frames) & 127])
    return {
        "movie url": boxes.movie(references=[link], offset=100, count=15_000),
        "movie url late": boxes.movie(references=[boxes.ITSELF, link]),
        "movie urn": boxes.movie(references=[boxes.reference(b"urn ", target)], offset=100, count=15_000),
        "movie alias": boxes.movie(references=[boxes.reference(b"alis", target)], offset=100, count=15_000),
        "movie redirect": boxes.box(b"ftyp", b"qt  ", bytes(4), b"qt  ")
        + boxes.box(b"moov", boxes.box(b"rmra", boxes.box(b"rmda", descriptor))),
        "movie redirect alias": boxes.box(b"ftyp", b"qt  ", bytes(4), b"qt  ")
        + boxes.box(b"moov", boxes.box(b"rmra", boxes.box(b"rmda", boxes.full(b"rdrf", b"alis", address)))),
        "mp4 xml and uri": boxes.movie(brand=b"isom", user=meta + boxes.box(b"udta", boxes.full(b"uri ", address))),
        "matroska linked": ebml.matroska(info=linked, more=chapter),
        "matroska attachment": ebml.matroska(more=attached + tag),
        "wav link": riff.wav(riff.chunk(b"link", address), riff.chunk(b"plst", address), riff.chunk(b"_PMX", address)),
        "wav list": riff.wav(riff.chunk(b"LIST", b"wavl" + riff.chunk(b"file", address))),
        "aiff": riff.aiff(b"APPL" + struct.pack(">I", len(address) & ~1) + address[: len(address) & ~1]),
        "asf": _asf(target),
        "id3 link": b"ID3\x03\0\0" + size + frames + riff.wav(),
        "id3 and playlist": b"ID3\x03\0\0" + size + frames + f"{_HLS}#EXTINF:1,\n{target}\n".encode(),
        "flac picture": _flac_picture(target),
    }  # fmt: skip


def _asf(target: str) -> bytes:
    """An ASF header with a script command that says where to go on."""
    url = target.encode("utf-16-le") + b"\0\0"
    kind = "URL".encode("utf-16-le")
    commands = struct.pack("<HHH", 1, 1, 3) + kind + struct.pack("<IHH", 0, 0, len(url) // 2) + url
    script = (
        bytes.fromhex("301afb1e620bd011a39b00a0c90348f6") + struct.pack("<Q", len(commands) + 40) + bytes(16) + commands
    )
    header = struct.pack("<IBB", 1, 1, 2) + script
    return bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<Q", len(header) + 24) + header


def _flac_picture(target: str) -> bytes:
    """A FLAC whose cover is said to lie elsewhere."""
    link = target.encode()
    picture = struct.pack(">I", 3) + struct.pack(">I", 3) + b"-->" + bytes(4 + 16) + struct.pack(">I", len(link)) + link
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (16_000 << 44 | 15 << 36).to_bytes(8, "big") + bytes(16)
    return b"fLaC\0\0\0\x22" + info + b"\x86" + len(picture).to_bytes(3, "big") + picture


def _zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _tar(data: bytes, target: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.m3u8")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("a.wav")
        link.type, link.linkname = tarfile.SYMTYPE, target[:100]
        archive.addfile(link)
    return out.getvalue()


def follows(name: str, path: Path) -> list[str]:
    """A player's command line that follows all it can: the control that shows which attacks are real ones."""
    options: tuple[str, ...] = ()
    if name.startswith("concat"):
        options = ("-safe", "0")
    elif name.startswith("movie"):
        options = ("-enable_drefs", "1", "-use_absolute_path", "1")
    elif name.startswith("hls"):
        options = ("-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-extension_picky", "0")
    protocols = "file,http,tcp,udp,rtp,crypto,data,subfile,concat,concatf,async,cache,unix,gopher,ftp,rtmp,fd,pipe"
    return [
        media.ffmpeg_program(), "-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", protocols,
        *options, "-i", str(path), "-t", "1", "-f", "null", "-",
    ]  # fmt: skip
