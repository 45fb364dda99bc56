"""What a film of the sandbox is made of: a quick one for load tests, a scene with the prompt for people."""

import struct
from collections.abc import Iterator
from pathlib import Path

from videos.sandbox import reel
from videos.sandbox.world import Film

_QUICK_FPS = 5


def draw_quick(out: Path, *, aspect: str, resolution: str, duration_s: int) -> None:
    """A plain grey field that brightens, with a soft tone: right in size, length and codecs, and cheap."""
    size = reel.size_of(resolution, aspect)
    width, height = drawn = reel.size_of("720p", aspect)
    chroma = bytes([128]) * (width * height // 4)

    def frames() -> Iterator[reel.Planes]:
        for number in range(duration_s * _QUICK_FPS):
            yield bytes([40 + 3 * number % 160]) * (width * height), chroma, chroma

    tone = ("aevalsrc", f"exprs=0.05*sin(2*PI*220*t)|0.05*sin(2*PI*220*t):s={reel.RATE_HZ}:d={duration_s}")
    reel.write(out, frames=frames(), drawn=drawn, size=size, fps=_QUICK_FPS, sound=[tone], preset="ultrafast", crf=35)


def mark(text: str) -> bytes:
    """A `free` box for the end of an MP4: players skip it, and the file is like no other task's."""
    return struct.pack(">I4s", 8 + len(text), b"free") + text.encode("ascii")


def draw(out: Path, film: Film) -> None:
    draw_quick(out, aspect=film.aspect, resolution=film.resolution, duration_s=film.duration_s)
