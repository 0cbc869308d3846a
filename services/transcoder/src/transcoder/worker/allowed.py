"""What ffmpeg may open: containers and audio codecs that people record in; no playlist, no picture, no video codec."""

CONTAINERS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dsf", "dss", "dts", "eac3",
    "flac", "flv", "gsm", "iff", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf",
    "nut", "ogg", "qcp", "rm", "sox", "tak", "tta", "voc", "w64", "wav", "wtv", "wv", "xwma",
)  # fmt: skip
"""Demuxers. None of them opens another file or address: no hls, dash, concat, sdp, rtp, image2, tedcaptions."""

CODECS = (
    "aac", "aac_fixed", "aac_latm", "ac3", "adpcm_g722", "adpcm_g726", "adpcm_g726le", "adpcm_ima_oki",
    "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "adpcm_swf", "adpcm_yamaha", "alac", "amrnb", "amrwb", "ape",
    "atrac3", "atrac3p", "cook", "dca", "dsd_lsbf", "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar", "dss_sp",
    "eac3", "flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "libgsm", "libgsm_ms",
    "libopencore_amrnb", "libopencore_amrwb", "libopus", "libspeex", "libvorbis", "mace3", "mace6", "mlp", "mp1",
    "mp1float", "mp2", "mp2float", "mp3", "mp3float", "mpc7", "mpc8", "nellymoser", "opus", "pcm_alaw",
    "pcm_bluray", "pcm_dvd", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be",
    "pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24le", "pcm_s24le_planar", "pcm_s32be",
    "pcm_s32le", "pcm_s32le_planar", "pcm_s64be", "pcm_s64le", "pcm_s8", "pcm_s8_planar", "pcm_u16be", "pcm_u16le",
    "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le", "pcm_u8", "qcelp", "qdm2", "ra_144", "ra_288", "real_144",
    "real_288", "sipr", "speex", "tak", "truehd", "tta", "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1",
    "wmav2", "wmavoice",
)  # fmt: skip
"""Audio decoders under the names of ffmpeg 5 to 9. A film's video codec is not among them, so none of it is run."""
