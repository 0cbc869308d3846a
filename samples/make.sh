#!/bin/sh
# Remakes the samples beside this script with the free voices of ffmpeg's flite filter.
# Needs an ffmpeg with flite, for example Debian's; FFMPEG names another one.
set -eu
cd "$(dirname "$0")"
ffmpeg=${FFMPEG:-ffmpeg}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# say VOICE TEXTFILE OUT.wav: one voice reads a text as 16 kHz mono, without any tag that would change between runs
say() {
    "$ffmpeg" -nostdin -v error -y -f lavfi -i "flite=textfile=$2:voice=$1" \
        -ar 16000 -ac 1 -c:a pcm_s16le -bitexact -map_metadata -1 "$3"
}

say slt monologue.txt monologue.wav

# Two voices in turn: odd turns are slt, even turns rms, with a pause after each.
cat > "$work/turns" <<'TURNS'
Good morning, my friend. How are you today?
I am fine. What are you going to do this weekend?
I want to visit my friends in the city. We will go to the market and buy some food.
That is a good idea. What time will you leave?
We will leave at ten in the morning, and we will come back in the evening.
TURNS
tr '\n' ' ' < "$work/turns" | sed 's/ *$//' > dialogue.txt
echo >> dialogue.txt
"$ffmpeg" -nostdin -v error -y -f lavfi -i "anullsrc=r=16000:cl=mono" -t 0.6 -c:a pcm_s16le "$work/pause.wav"
turn=0
: > "$work/list"
while IFS= read -r line; do
    turn=$((turn + 1))
    printf '%s\n' "$line" > "$work/$turn.txt"
    if [ $((turn % 2)) -eq 1 ]; then voice=slt; else voice=rms; fi
    say "$voice" "$work/$turn.txt" "$work/$turn.wav"
    printf "file '%s'\nfile '%s'\n" "$work/$turn.wav" "$work/pause.wav" >> "$work/list"
done < "$work/turns"
"$ffmpeg" -nostdin -v error -y -f concat -safe 0 -i "$work/list" -c:a pcm_s16le -bitexact -map_metadata -1 dialogue.wav

say slt video.txt "$work/video.wav"
"$ffmpeg" -nostdin -v error -y -f lavfi -i "testsrc=size=320x180:rate=12" -i "$work/video.wav" -af apad -t 8 \
    -c:v libx264 -preset veryslow -crf 32 -pix_fmt yuv420p -c:a aac -b:a 64k -ac 1 -bitexact -map_metadata -1 video.mp4

# An MP3 by its name and its first bytes (an ID3 tag, then one frame header); the rest is noise from a fixed seed.
python3 - <<'PY'
import random
from pathlib import Path

noise = random.Random(3)
Path("corrupt.mp3").write_bytes(
    b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + b"\xff\xfb\x90\x64"
    + bytes(b for b in noise.randbytes(24_000) if b != 0xFF)
)
PY
