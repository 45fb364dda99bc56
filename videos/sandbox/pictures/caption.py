"""Writes the prompt over the lower third of a picture, in the fonts that are shipped with the sandbox."""

import itertools
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from videos.sandbox.pictures.landscape import faded

Planes = tuple[Image.Image, Image.Image, Image.Image]  # y, u and v of yuv420p
_FOLDER = Path(__file__).resolve().parent.parent / "fonts"
SHIPPED = (_FOLDER / "Inter-Medium.ttf", _FOLDER / "NotoSansSC-GB2312.ttf")
_LINES, _LETTERS = 3, 400  # no three lines hold more letters
_MISSING = "\U0010ffff"  # no font has it: shows how a font draws what it does not have
font = lru_cache(maxsize=32)(ImageFont.truetype)


@lru_cache(maxsize=4096)
def font_of(letter: str, size: int) -> ImageFont.FreeTypeFont | None:
    """The first font that has the letter."""
    fonts = (font(path, size) for path in SHIPPED)
    return next((f for f in fonts if letter == " " or bytes(f.getmask(letter)) != bytes(f.getmask(_MISSING))), None)


def _runs(text: str, size: int) -> list[tuple[ImageFont.FreeTypeFont, str]]:
    """The text in pieces of one font each, without the letters that no font has."""
    groups = itertools.groupby(text, key=lambda letter: font_of(letter, size))
    return [(found, "".join(letters)) for found, letters in groups if found]


def width_of(text: str, size: int) -> float:
    return sum(found.getlength(run) for found, run in _runs(text, size))


def lines_of(text: str, *, size: int, width: float) -> list[str]:
    """The text in at most three lines; what does not fit ends in an ellipsis. Chinese breaks after any character."""
    letters = unicodedata.normalize("NFC", text[:_LETTERS])
    kept = (
        letter if unicodedata.category(letter)[0] in "LMNPSZ" and font_of(letter, size) else " " for letter in letters
    )
    lines = [""]
    for word in re.findall(r"[^\s\u2e80-\U0010ffff]+\s?|\S\s?", " ".join("".join(kept).split())):
        for piece in [word] if width_of(word.rstrip(), size) <= width else word:
            if lines[-1] and width_of((lines[-1] + piece).rstrip(), size) > width:
                lines.append("")
            lines[-1] += piece
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) > _LINES:
        last = lines[_LINES - 1]
        while width_of(last + "…", size) > width:
            last = last[:-1]
        lines[_LINES - 1 :] = [last.rstrip(" ,.;，。；") + "…"]
    return lines


def caption(text: str, size: tuple[int, int]) -> Callable[[Planes, float], None]:
    """Draws the text on a frame at a time in seconds, fading in, and the sandbox's mark in the upper corner."""
    unit = min(size) / 720
    large, small, margin = round(34 * unit), round(17 * unit), round(size[0] * 0.065)
    lines = lines_of(text, size=large, width=size[0] - 2 * margin)
    step = round(large * 1.4)
    block, mark = Image.new("L", (size[0], step * len(lines) + 2 * large)), Image.new("L", (5 * small, 2 * small))
    for n, line in enumerate(lines):
        _write(block, line, margin, step * (n + 1), large)
    _write(mark, "sandbox", 0, round(1.3 * small), small)
    shadow, mark = faded(block.filter(ImageFilter.GaussianBlur(5 * unit)), 0.8), faded(mark, 0.5)
    top, corner = round(size[1] * 0.9) - block.height, size[0] - mark.width

    def draw(planes: Planes, t: float) -> None:
        strength = max(0.0, min(1.0, (t - 0.15) / 0.8))
        for mask, left, down, luma in ((shadow, 0, top, 16), (block, 0, top, 235), (mark, corner, small // 2, 235)):
            shown = mask if strength == 1 else faded(mask, strength)
            for plane, value, half in zip(planes, (luma, 128, 128), (1, 2, 2), strict=True):
                plane.paste(value, (left // half, down // half), shown.reduce(half))

    return draw


def _write(mask: Image.Image, text: str, x: float, baseline: float, size: int) -> None:
    for found, run in _runs(text, size):
        ImageDraw.Draw(mask).text((x, baseline), run, font=found, fill=255, anchor="ls")
        x += found.getlength(run)
