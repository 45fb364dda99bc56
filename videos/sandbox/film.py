"""Films: a quick one for load tests, and for people a scene chosen by the prompt's words, with the prompt on it."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

from PIL import Image, ImageChops

from videos.sandbox import reel
from videos.sandbox.art import mood, places, sound
from videos.sandbox.art.caption import caption, mark
from videos.sandbox.art.paint import Canvas
from videos.sandbox.art.stage import Stage
from videos.sandbox.world import Film

FPS = 20
_QUICK_FPS = 5
_GRAIN = 1.7


def draw(out: Path, film: Film) -> None:
    """The film of a prompt. 4K is drawn at 1080p and scaled up; 8 s of 720p take one core about 1.4 to 2 s."""
    size = reel.size_of(film.resolution, film.aspect)
    drawn = size if film.resolution != "4k" else reel.size_of("1080p", film.aspect)
    feeling = mood.read(film.prompt, seed=film.seed)
    stage = Stage(
        width=drawn[0],
        height=drawn[1],
        unit=min(drawn) / 720,
        duration_s=film.duration_s,
        mood=feeling,
        dice=random.Random(f"{film.seed}:{film.prompt}"),  # noqa: S311 - dice, not secrets
    )
    reel.write(
        out,
        frames=_frames(stage, film),
        drawn=drawn,
        size=size,
        fps=FPS,
        sound=sound.chain(feeling, duration_s=film.duration_s, seed=film.seed),
        preset="ultrafast",
        crf=27,
    )


def _frames(stage: Stage, film: Film) -> Iterator[reel.Planes]:
    backdrop, actors = places.build(stage)
    actors += [caption(stage, film.prompt), mark(stage)]
    textures = _textures(stage)
    canvas = Canvas((stage.width, stage.height))
    luma = canvas.planes[0]
    for number in range(film.duration_s * FPS):
        t = number / FPS
        backdrop.fill(canvas, t / stage.duration_s)
        for act in actors[:-2]:
            act(canvas, t)
        luma.paste(ImageChops.add(luma, textures[number * 5 % len(textures)], 1, -128))
        for act in actors[-2:]:
            act(canvas, t)
        yield canvas.buffers


def _textures(stage: Stage) -> list[Image.Image]:
    """Film grain with darker corners, around 128; a few of them, taken in turns."""
    curve = [round(34 * max(0.0, (value - 120) / 135) ** 1.7) for value in range(256)]
    corners = Image.radial_gradient("L").point(curve).resize((stage.width, stage.height), Image.Resampling.BICUBIC)
    width, height = corners.size
    # Pillow's own noise cannot be seeded, and a film must come out the same when it is drawn again.
    normal = NormalDist(128, _GRAIN)
    bell = [round(normal.inv_cdf((value + 0.5) / 256)) for value in range(256)]
    large = (width + 96, height + 96)
    grain = Image.frombytes("L", large, stage.dice.randbytes(large[0] * large[1])).point(bell)
    return [
        ImageChops.subtract(grain.crop((16 * n, 13 * n, 16 * n + width, 13 * n + height)), corners) for n in range(7)
    ]


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


def box(text: str) -> bytes:
    """A `free` box for the end of an MP4: players skip it, and the file is like no other task's."""
    return struct.pack(">I4s", 8 + len(text), b"free") + text.encode("ascii")
