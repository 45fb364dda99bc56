"""Painting straight into yuv420p with Pillow: three grey pictures instead of one coloured, four times as fast.

Colours are BT.709 in video range, as players assume for HD. Sprites move by half pixels, so that slow drifts are smooth.
"""

import math
from collections.abc import Sequence

from PIL import Image, ImageChops

Colour = tuple[float, float, float]  # red, green, blue, 0 to 255
_Y = (0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16)
_U = (-0.1146 * 224 / 255, -0.3854 * 224 / 255, 0.5 * 224 / 255, 128)
_V = (0.5 * 224 / 255, -0.4542 * 224 / 255, -0.0458 * 224 / 255, 128)


def rgb(text: str) -> Colour:
    """`#ffb547` as a colour."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second in the first."""
    a, b = first, second
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share


def whole(colour: Colour) -> tuple[int, int, int]:
    return round(colour[0]), round(colour[1]), round(colour[2])


def gradient(size: tuple[int, int], stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """A vertical gradient through (place 0 to 1, colour) stops."""
    height = size[1]
    column = Image.new("RGB", (1, height))
    for row in range(height):
        place = row / max(1, height - 1)
        before = max((stop for stop in stops if stop[0] <= place), key=lambda stop: stop[0], default=stops[0])
        after = min((stop for stop in stops if stop[0] >= place), key=lambda stop: stop[0], default=stops[-1])
        span = after[0] - before[0]
        share = (place - before[0]) / span if span else 0
        column.putpixel((0, row), whole(mix(before[1], after[1], share)))
    return column.resize(size)


def split(picture: Image.Image) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The planes of an RGB picture: full luma, halved chroma."""
    half = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BOX)
    return picture.convert("L", _Y), half.convert("L", _U), half.convert("L", _V)


def values(colour: Colour) -> tuple[int, int, int]:
    """One colour in the three planes."""
    y, u, v = (
        round(sum(part * factor for part, factor in zip(colour, row[:3], strict=True)) + row[3]) for row in (_Y, _U, _V)
    )
    return y, u, v


def shifted(plane: Image.Image, pixels: float) -> Image.Image:
    """The plane moved right by a part of a pixel."""
    if not pixels:
        return plane
    return plane.transform(plane.size, Image.Transform.AFFINE, (1, 0, -pixels, 0, 1, 0), Image.Resampling.BILINEAR)


class Sprite:
    """Something with a shape that can be put on a canvas anywhere, again and again.

    Rows of the mask that are empty are cut off, and rows at its foot that are solid are pasted without a mask: most of a
    landscape is ground, and this halves the work.
    """

    def __init__(self, picture: Image.Image | Colour, mask: Image.Image, *, luma_only: bool = False) -> None:
        """A picture (RGB) or one flat colour, seen through a mask (L) of even size; `luma_only` leaves hues alone."""
        self._planes = 1 if luma_only else 3
        self.size = mask.size
        self._top, solid = _rows(mask)
        half = mask.resize((mask.width // 2, mask.height // 2), Image.Resampling.BOX)
        contents: tuple[Image.Image | int, ...] = (
            split(picture) if isinstance(picture, Image.Image) else values(picture)
        )
        self._contents = [_below(content, self._top >> (number > 0)) for number, content in enumerate(contents)]
        self._masks = [mask.crop((0, self._top, *mask.size)), half.crop((0, self._top >> 1, *half.size))]
        self._solid = [solid - self._top, (solid - self._top + 1) // 2]
        self._moved: dict[tuple[int, int], Image.Image | int] = {}
        self._moved_masks: dict[tuple[bool, int], Image.Image] = {}

    def put(self, canvas: "Canvas", x: float, y: float) -> None:
        """Paste with the upper left corner at (x, y), in luma pixels; beyond the edges is fine."""
        y += self._top
        for number, target in enumerate(canvas.planes[: self._planes]):
            chroma = number > 0
            across, down, steps = (x / 2, y / 2, 4) if chroma else (x, y, 2)
            left = math.floor(across)
            step = math.floor((across - left) * steps)
            content, mask = self._phase(number, step, steps)
            _paste(target, content, mask, left, round(down), solid=self._solid[chroma])

    def _phase(self, number: int, step: int, steps: int) -> tuple[Image.Image | int, Image.Image]:
        """Content and mask of a plane, moved by so many parts of a pixel."""
        chroma = number > 0
        if (number, step) not in self._moved:
            content = self._contents[number]
            self._moved[number, step] = content if isinstance(content, int) else shifted(content, step / steps)
        if (chroma, step) not in self._moved_masks:
            self._moved_masks[chroma, step] = shifted(self._masks[chroma], step / steps)
        return self._moved[number, step], self._moved_masks[chroma, step]


def _rows(mask: Image.Image) -> tuple[int, int]:
    """The first row with anything in it (even), and the first from which all is solid."""
    filled, open_rows = mask.getbbox(), ImageChops.invert(mask).getbbox()
    return (filled[1] & ~1 if filled else 0), (open_rows[3] if open_rows else 0)


def _below(content: Image.Image | int, row: int) -> Image.Image | int:
    return content if isinstance(content, int) else content.crop((0, row, *content.size))


def _paste(
    target: Image.Image, content: Image.Image | int, mask: Image.Image, left: int, top: int, *, solid: int
) -> None:
    """Paste the visible part only: Pillow would walk over the hidden one too."""
    width, height = mask.size
    low = min(height, target.height - top)
    first, last = max(0, -left), min(width, target.width - left)
    if first >= last:
        return
    edge = min(solid, low) if last - first == target.width else low
    for begin, end, masked in ((max(0, -top), edge, True), (max(0, -top, edge), low, False)):
        if begin >= end:
            continue
        box = (first, begin, last, end)
        whole_sprite = box == (0, 0, width, height)
        place = (left + first, top + begin, left + last, top + end)
        piece = content if isinstance(content, int) or whole_sprite else content.crop(box)
        if masked:
            target.paste(piece, place, mask if whole_sprite else mask.crop(box))
        else:
            target.paste(piece, place)


class Canvas:
    """One frame in the making, and again the next: its planes lie in buffers that the encoder can read."""

    def __init__(self, size: tuple[int, int]) -> None:
        half = (size[0] // 2, size[1] // 2)
        self.buffers = [bytearray(width * height) for width, height in (size, half, half)]
        self.planes = [_over(buffer, shape) for buffer, shape in zip(self.buffers, (size, half, half), strict=True)]


def _over(buffer: bytearray, size: tuple[int, int]) -> Image.Image:
    """A picture whose pixels are the buffer's bytes, both ways."""
    picture = Image.frombuffer("L", size, buffer, "raw", "L", 0, 1)
    # Pillow marks such pictures read-only and would copy at the first change; the buffer is ours to change.
    picture.readonly = 0
    return picture


class Backdrop:
    """A sky that turns slowly into another one, with whatever stands still in it painted in beforehand."""

    def __init__(self, first: Image.Image, last: Image.Image) -> None:
        self._ends = [Canvas(first.size), Canvas(first.size)]
        for end, picture in zip(self._ends, (first, last), strict=True):
            for target, plane in zip(end.planes, split(picture), strict=True):
                target.paste(plane)

    def bake(self, sprite: Sprite, x: float, y: float) -> None:
        """Paint something that never moves, once for all frames."""
        for end in self._ends:
            sprite.put(end, x, y)

    def fill(self, canvas: Canvas, share: float) -> None:
        """Cover the canvas with `share` (0 to 1) of the last sky."""
        for target, one, other in zip(canvas.planes, self._ends[0].planes, self._ends[1].planes, strict=True):
            target.paste(Image.blend(one, other, share))
