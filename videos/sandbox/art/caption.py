"""The prompt on the picture: a few lines in the lower third, in fonts that are shipped, and the sandbox's small mark."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.paint import Canvas, Sprite
from videos.sandbox.art.stage import Actor, Stage

_FONTS = Path(__file__).resolve().parent.parent / "fonts"
_SHIPPED = (_FONTS / "Inter-Medium.ttf", _FONTS / "NotoSansSC-GB2312.ttf")
# Wider coverage (traditional Chinese, Korean, rare characters) where the machine has it.
_SYSTEM = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
_LINES = 3
_LETTERS = 400  # more than three lines ever hold
_NO_SUCH = "\U0010ffff"  # a character no font has: how a font draws what it does not have


@lru_cache(maxsize=32)
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    paths = [*_SHIPPED, *(Path(path) for path in _SYSTEM if Path(path).exists())]
    return tuple(ImageFont.truetype(str(path), size) for path in paths)


@lru_cache(maxsize=4096)
def _font_of(letter: str, size: int) -> ImageFont.FreeTypeFont | None:
    """The first font that has the letter; None when none has it, and then it is left out."""
    if letter == " ":
        return _fonts(size)[0]
    for font in _fonts(size):
        if bytes(font.getmask(letter)) != bytes(font.getmask(_NO_SUCH)):
            return font
    return None


def _readable(text: str) -> str:
    """One line of characters that can be drawn: no controls, no emoji, single spaces, and no more than could be shown."""
    text = text[: 2 * _LETTERS]
    kept = (
        letter if unicodedata.category(letter)[0] in "LMNPSZ" else " " for letter in unicodedata.normalize("NFC", text)
    )
    return " ".join("".join(letter for letter in kept if letter.isspace() or _font_of(letter, 20)).split())[:_LETTERS]


def _width(text: str, size: int) -> float:
    return sum(font.getlength(run) for font, run in _runs(text, size))


def _runs(text: str, size: int) -> list[tuple[ImageFont.FreeTypeFont, str]]:
    """The text in pieces of one font each."""
    runs: list[tuple[ImageFont.FreeTypeFont, str]] = []
    for letter in text:
        font = _font_of(letter, size)
        if font is None:
            continue
        if runs and (runs[-1][0] is font or letter == " "):
            runs[-1] = (runs[-1][0], runs[-1][1] + letter)
        else:
            runs.append((font, letter))
    return runs


def lines_of(text: str, *, size: int, width: float) -> list[str]:
    """The text broken into at most three lines; what does not fit ends in an ellipsis. Chinese breaks anywhere."""
    lines, line = [], ""
    for word in _words(_readable(text)):
        if line and _width((line + word).rstrip(), size) > width:
            lines.append(line.strip())
            line = ""
        line += word
        while _width(line.rstrip(), size) > width:
            cut = next(end for end in range(len(line) - 1, 0, -1) if end == 1 or _width(line[:end], size) <= width)
            lines.append(line[:cut])
            line = line[cut:]
        if len(lines) > _LINES:
            break
    lines.append(line.strip())
    lines = [line for line in lines if line]
    if len(lines) > _LINES:
        last = lines[_LINES - 1]
        while last and _width(last + "…", size) > width:
            last = last[:-1]
        lines = [*lines[: _LINES - 1], last.rstrip(" ,.;，。；") + "…"]
    return lines


def _words(text: str) -> list[str]:
    words, word = [], ""
    for letter in text:
        word += letter
        if letter == " " or ord(letter) > 0x2E7F:
            words.append(word)
            word = ""
    return [*words, word] if word else words


def _draw(brush: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, fill: int) -> None:
    x, baseline = at
    for font, run in _runs(text, size):
        brush.text((x, baseline), run, font=font, fill=fill, anchor="ls")
        x += font.getlength(run)


def caption(stage: Stage, text: str) -> Actor:
    """Fades in, stays, above a player's controls. The picture darkens there a little: it is read on any sky."""
    size = round((34 if not stage.portrait else 36) * stage.unit)
    margin = round(stage.width * 0.07)
    lines = lines_of(text, size=size, width=stage.width - 2 * margin)
    if not lines:
        return lambda _canvas, _t: None
    step = round(size * 1.38)
    block = (stage.width, shapes.even(step * len(lines) + size))
    mask = Image.new("L", block)
    brush = ImageDraw.Draw(mask)
    for number, line in enumerate(lines):
        _draw(brush, (margin, step * (number + 1)), line, size, 250)
    bottom = stage.height * 0.83
    top = bottom - block[1]
    shadow = mask.filter(ImageFilter.GaussianBlur(size / 7)).point(
        [min(255, round(value * 1.2)) for value in range(256)]
    )
    levels = 12
    faded = [
        (
            Sprite((0.0, 0.0, 0.0), glows.scaled(shadow, 0.55 * level / levels)),
            Sprite((250.0, 248.0, 242.0), glows.scaled(mask, level / levels)),
        )
        for level in range(1, levels + 1)
    ]
    scrim = _scrim(stage, shapes.even(stage.height - bottom + block[1] * 1.5))

    def act(canvas: Canvas, t: float) -> None:
        scrim.put(canvas, 0, stage.height - scrim.size[1])
        level = min(levels, int((t - 0.15) / 0.8 * levels))
        if level > 0:
            for sprite in faded[level - 1]:
                sprite.put(canvas, 0, top)

    return act


def _scrim(stage: Stage, height: int) -> Sprite:
    column = Image.new("L", (1, height))
    for y in range(height):
        column.putpixel((0, y), round(175 * (y / height) ** 0.9))
    return Sprite((4.0, 5.0, 10.0), column.resize((stage.width, height)))


def mark(stage: Stage) -> Actor:
    """`sandbox`, small, in the upper corner."""
    size = round(17 * stage.unit)
    width = shapes.even(_width("sandbox", size) + size)
    mask = Image.new("L", (width, shapes.even(size * 1.6)))
    _draw(ImageDraw.Draw(mask), (size / 2, size * 1.15), "sandbox", size, 120)
    sprite = Sprite((255.0, 255.0, 255.0), mask)
    x, y = stage.width - width - round(18 * stage.unit), round(18 * stage.unit)
    return lambda canvas, _t: sprite.put(canvas, x, y)
