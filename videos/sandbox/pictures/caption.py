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
_LINES, _LETTERS = 3, 400  # more letters never fit into three lines
_MISSING = "\U0010ffff"  # in no font: its picture is the sign that a font draws for a letter it does not have
font = lru_cache(maxsize=32)(ImageFont.truetype)


@lru_cache(maxsize=4096)
def find_font(letter: str, size: int) -> ImageFont.FreeTypeFont | None:
    """The first shipped font that has the letter, or None."""
    fonts = (font(path, size) for path in SHIPPED)
    return next((f for f in fonts if letter == " " or bytes(f.getmask(letter)) != bytes(f.getmask(_MISSING))), None)


def _runs(text: str, size: int) -> list[tuple[ImageFont.FreeTypeFont, str]]:
    """The text cut into parts that need one font each, without the letters that no font has."""
    groups = itertools.groupby(text, key=lambda letter: find_font(letter, size))
    return [(run_font, "".join(letters)) for run_font, letters in groups if run_font]


def text_width(text: str, size: int) -> float:
    return sum(run_font.getlength(run) for run_font, run in _runs(text, size))


def wrap_lines(text: str, *, size: int, width: float) -> list[str]:
    """The text in at most three lines; longer text ends in an ellipsis. Chinese text breaks after any character."""
    letters = unicodedata.normalize("NFC", text[:_LETTERS])
    printable = (
        letter if unicodedata.category(letter)[0] in "LMNPSZ" and find_font(letter, size) else " " for letter in letters
    )
    lines = [""]
    for word in re.findall(r"[^\s\u2e80-\U0010ffff]+\s?|\S\s?", " ".join("".join(printable).split())):
        for piece in [word] if text_width(word.rstrip(), size) <= width else word:
            if lines[-1] and text_width((lines[-1] + piece).rstrip(), size) > width:
                lines.append("")
            lines[-1] += piece
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) > _LINES:
        last = lines[_LINES - 1]
        while text_width(last + "…", size) > width:
            last = last[:-1]
        lines[_LINES - 1 :] = [last.rstrip(" ,.;，。；") + "…"]
    return lines


def caption(text: str, size: tuple[int, int]) -> Callable[[Planes, float], None]:
    """A function that draws the text, which fades in, and the word "sandbox" on the frame at a given second."""
    unit = min(size) / 720
    large, small, margin = round(34 * unit), round(17 * unit), round(size[0] * 0.065)
    lines = wrap_lines(text, size=large, width=size[0] - 2 * margin)
    step = round(large * 1.4)
    block, mark = Image.new("L", (size[0], step * len(lines) + 2 * large)), Image.new("L", (5 * small, 2 * small))
    for n, line in enumerate(lines):
        _write(block, line, margin, step * (n + 1), large)
    _write(mark, "sandbox", 0, round(1.3 * small), small)
    shadow, mark = faded(block.filter(ImageFilter.GaussianBlur(5 * unit)), 0.8), faded(mark, 0.5)
    top, corner = round(size[1] * 0.9) - block.height, size[0] - mark.width

    def draw(planes: Planes, t: float) -> None:
        strength = max(0.0, min(1.0, (t - 0.15) / 0.8))
        for mask, left, y, luma in ((shadow, 0, top, 16), (block, 0, top, 235), (mark, corner, small // 2, 235)):
            shown = mask if strength == 1 else faded(mask, strength)
            for plane, value, scale in zip(planes, (luma, 128, 128), (1, 2, 2), strict=True):
                plane.paste(value, (left // scale, y // scale), shown.reduce(scale))

    return draw


def _write(mask: Image.Image, text: str, x: float, baseline: float, size: int) -> None:
    for run_font, run in _runs(text, size):
        ImageDraw.Draw(mask).text((x, baseline), run, font=run_font, fill=255, anchor="ls")
        x += run_font.getlength(run)
