"""What several commands say alike about audio that is stored beside the original."""

AUDIO_FORMATS = ("wav", "mp3", "ogg", "opus", "flac")
"""Names of formats, in the gateway's order. Only the help has them: the gateway says which ones it takes."""

STORED_AUDIO = f"Store the audio in this format as well: {', '.join(AUDIO_FORMATS)}; see `jobs audio`."
"""Help of `--audio-format`."""
