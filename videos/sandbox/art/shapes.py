"""Outlines as masks (L), drawn large and reduced: ridges, pines, towers, rocks, birds, ripples."""

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

_LARGE = 2


def even(number: float) -> int:
    """The next even number: chroma has half the pixels."""
    return 2 * math.ceil(number / 2)


def outlined(size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Image.Image:
    """A mask drawn twice as large, for smooth edges; `draw` gets the brush and the factor."""
    large = Image.new("L", (size[0] * _LARGE, size[1] * _LARGE))
    draw(ImageDraw.Draw(large), _LARGE)
    return large.reduce(_LARGE)


def curve(dice: random.Random, *, length: float, rough: float, octaves: int = 5) -> Callable[[float], float]:
    """A smooth random height between about -1 and 1 along x, the longest wave being `length` pixels."""
    parts = [(length / 1.9**n, rough**n, dice.uniform(0, 2 * math.pi)) for n in range(octaves)]
    total = sum(weight for _, weight, _ in parts)

    def height(x: float) -> float:
        return sum(weight * math.sin(2 * math.pi * x / wave + phase) for wave, weight, phase in parts) / total

    return height


def ridge(
    size: tuple[int, int], height: Callable[[float], float], *, amplitude: float, sharp: bool = False
) -> Image.Image:
    """Land below a curve whose crest swings by `amplitude` pixels under the mask's upper edge."""
    width, bottom = size

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        points = []
        for x in range(0, width + 4, 4):
            value = height(x)
            value = 1 - 2 * abs(value) if sharp else value
            points.append((x * k, (amplitude * (1 - value) / 2 + 2) * k))
        brush.polygon([(0, bottom * k), *points, (width * k, bottom * k)], fill=255)

    return outlined(size, draw)


def pines(size: tuple[int, int], dice: random.Random, *, tall: float, gap: float) -> Image.Image:
    """A row of firs standing on the lower part."""
    width, bottom = size
    ground = curve(dice, length=width / 2, rough=0.5)

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        x = -gap
        while x < width + gap:
            height = tall * dice.uniform(0.55, 1.0)
            foot = bottom - tall * 0.16 + ground(x) * tall * 0.08
            _pine(brush, x * k, foot * k, height * k, dice)
            x += gap * dice.uniform(0.5, 1.3)
        points = [(x * k, (bottom - tall * 0.2 + ground(x) * tall * 0.08) * k) for x in range(0, width + 8, 8)]
        brush.polygon([(0, bottom * k), *points, (width * k, bottom * k)], fill=255)

    return outlined(size, draw)


def _pine(brush: ImageDraw.ImageDraw, x: float, foot: float, height: float, dice: random.Random) -> None:
    tiers, spread = 8, height * dice.uniform(0.15, 0.2)
    brush.polygon([(x, foot - height * 1.03), (x + height * 0.016, foot), (x - height * 0.016, foot)], fill=255)
    for tier in range(tiers):
        top = foot - height + height * 0.86 * tier / tiers
        low = top + height * 0.25
        reach = spread * ((tier + 0.7) / tiers) ** 0.85
        left, right = reach * dice.uniform(0.75, 1.1), reach * dice.uniform(0.75, 1.1)
        brush.polygon([(x, top), (x + right, low), (x, low - height * 0.04), (x - left, low)], fill=255)


def towers(
    size: tuple[int, int], dice: random.Random, *, tall: float, unit: float
) -> tuple[Image.Image, list[tuple[float, float, float, float]]]:
    """A skyline, and the houses in it as (left, top, right, bottom)."""
    width, bottom = size
    houses = []
    x = -unit * dice.random()
    while x < width:
        wide = unit * dice.uniform(0.7, 1.7)
        high = tall * dice.choice((0.35, 0.45, 0.55, 0.7, 0.85, 1.0)) * dice.uniform(0.85, 1.0)
        houses.append((x, bottom - high, x + wide, float(bottom)))
        x += wide * dice.uniform(0.82, 1.12)

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        for left, top, right, low in houses:
            brush.rectangle((left * k, top * k, right * k, low * k), fill=255)
            middle, wide = (left + right) / 2, right - left
            crown = int(left * 7 + top) % 4
            if crown == 0:
                brush.rectangle(
                    ((left + wide * 0.2) * k, (top - unit * 0.16) * k, (right - wide * 0.2) * k, top * k), fill=255
                )
            elif crown == 1:
                brush.polygon(
                    [(left * k, top * k), (middle * k, (top - unit * 0.35) * k), (right * k, top * k)], fill=255
                )
            elif crown == 2:
                brush.line(
                    (middle * k, (top - unit * 0.7) * k, middle * k, top * k),
                    fill=255,
                    width=max(1, round(unit * 0.035 * k)),
                )

    return outlined(size, draw), houses


def lighthouse(height: int) -> tuple[Image.Image, float]:
    """A tower of that many pixels, and how far down its lamp is."""
    width = even(height * 0.42)

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        def part(top: float, low: float, upper: float, lower: float) -> None:
            middle, h = width / 2, height
            points = [
                (middle - upper * h, top * h),
                (middle + upper * h, top * h),
                (middle + lower * h, low * h),
                (middle - lower * h, low * h),
            ]
            brush.polygon([(x * k, y * k) for x, y in points], fill=255)

        part(0.0, 0.07, 0.004, 0.06)
        part(0.08, 0.10, 0.065, 0.065)
        part(0.10, 0.17, 0.048, 0.048)
        part(0.17, 0.195, 0.085, 0.085)
        part(0.19, 0.9, 0.058, 0.105)
        part(0.88, 1.0, 0.19, 0.21)

    return outlined((width, even(height)), draw), height * 0.135


def bird(wide: int, lift: float) -> Image.Image:
    """A bird as a child draws it: two wings, raised by `lift` between -1 and 1."""
    size = (wide, even(wide * 0.7))
    middle, body = size[0] / 2, size[1] / 2

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        tip = body - lift * size[1] * 0.4
        elbow = body - abs(lift) * size[1] * 0.15 - size[1] * 0.08
        for side in (-1, 1):
            points = [
                (middle * k, body * k),
                ((middle + side * wide * 0.22) * k, elbow * k),
                ((middle + side * wide * 0.46) * k, tip * k),
                ((middle + side * wide * 0.2) * k, (elbow + size[1] * 0.1) * k),
            ]
            brush.polygon(points, fill=235)

    return outlined(size, draw)


def ripples(size: tuple[int, int], dice: random.Random, *, count: int) -> Image.Image:
    """Short level glints on water, longer and more apart towards the viewer, gathered around the middle."""

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        for _ in range(count):
            down = dice.random() ** 1.6
            long = size[0] * (0.015 + 0.09 * down) * dice.uniform(0.5, 1.4)
            x = size[0] * (0.5 + dice.gauss(0, 0.05 + 0.16 * down))
            y, thick = down * size[1], max(1.0, size[1] * 0.006 * (0.4 + 2.2 * down))
            brush.ellipse(
                [(x - long) * k, (y - thick) * k, (x + long) * k, (y + thick) * k], fill=dice.randint(60, 190)
            )

    return outlined(size, draw)


def mound(size: tuple[int, int], dice: random.Random) -> Image.Image:
    """A rock in the sea."""
    rough = curve(dice, length=size[0] / 3, rough=0.6)

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        points = []
        for step in range(61):
            across = step / 60
            swell = math.sin(math.pi * across) ** 0.8
            points.append(
                (
                    across * size[0] * k,
                    (size[1] * (1 - 0.72 * swell) + rough(across * size[0]) * size[1] * 0.09 * swell) * k,
                )
            )
        brush.polygon([*points, (size[0] * k, size[1] * k), (0, size[1] * k)], fill=255)

    return outlined(size, draw)


def flanks(
    size: tuple[int, int], height: Callable[[float], float], dice: random.Random, *, amplitude: float, sharp: bool
) -> Image.Image:
    """The sides of a ridge that lie away from the light: from each summit to the valley on its right.

    Under it the shade ends along a jagged line (mountains) or a long swing (dunes).
    """
    step = 4
    xs = range(0, size[0] + step, step)
    tops = [amplitude * (1 - (1 - 2 * abs(height(x)) if sharp else height(x))) / 2 + 2 for x in xs]

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        at = 1
        while at < len(tops) - 1:
            if not (tops[at] <= tops[at - 1] and tops[at] < tops[at + 1]):
                at += 1
                continue
            end = at + 1
            while end < len(tops) - 1 and tops[end + 1] >= tops[end]:
                end += 1
            if tops[end] - tops[at] < amplitude * 0.1:
                at = end + 1
                continue
            crest = [(xs[n] * k, tops[n] * k) for n in range(at, end + 1)]
            drop = min(tops[end] - tops[at], amplitude * 0.5) * (1.25 if sharp else 2.6)
            back = []
            for part in range(1, 13):
                share = part / 12
                swing = dice.uniform(-0.07, 0.07) if sharp else 0.22 * math.sin(math.pi * share * 1.2)
                across = (xs[end] - xs[at]) * (0.9 * share**1.5 if not sharp else 0.16 * share) + swing * drop
                back.append(((xs[at] + across) * k, (tops[at] + drop * share) * k))
            brush.polygon([*crest, *reversed(back)], fill=150 if sharp else 190)
            at = end + 1

    return outlined(size, draw).filter(ImageFilter.GaussianBlur(0.8 if sharp else 1.6))


def standing(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The mask with solid ground below it, down to the size's foot."""
    whole = Image.new("L", size, 255)
    whole.paste(mask, (0, 0))
    return whole
