"""The decoder by FFmpeg: a fresh, shut-in worker process a file, which is handed an open file and never a path."""

from transcoder.ffmpeg.decoder import FfmpegDecoder

__all__ = ["FfmpegDecoder"]
