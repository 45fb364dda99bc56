"""Soft things as masks (L): clouds, halos, beams, curtains of light, rain. Shapes with edges are in `shapes`."""

import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from videos.sandbox.art.shapes import curve, even, outlined


def clouds(size: tuple[int, int], dice: random.Random, *, cover: float) -> Image.Image:
    """Soft drifting banks, long and low; `cover` between 0 and 1."""
    total = Image.new("L", size)
    for coarse, weight in ((9, 1.0), (22, 0.5), (48, 0.25)):
        cells = (coarse * 2, max(3, coarse * size[1] // max(1, size[0]) * 5))
        noise = Image.frombytes("L", cells, dice.randbytes(cells[0] * cells[1]))
        smooth = noise.resize(size, Image.Resampling.BICUBIC).point(
            [round(value * weight * 0.57) for value in range(256)]
        )
        total = ImageChops.add(total, smooth)
    edge = 255 * (1 - cover)
    banks = total.point([round(max(0.0, min(1.0, (value - edge) / 110)) * 255) for value in range(256)])
    fade = Image.new("L", (1, size[1]))
    for row in range(size[1]):
        fade.putpixel((0, row), round(255 * math.sin(math.pi * row / size[1]) ** 1.5))
    return ImageChops.multiply(banks, fade.resize(size))


def strip_half(size: tuple[int, int]) -> tuple[int, int]:
    """Half as large: clouds are soft enough to be drawn small."""
    return even(size[0] / 2), even(size[1] / 2)


def glow(radius: int, *, power: float = 2.0) -> Image.Image:
    """Light that falls off from the middle of a square."""
    side = 2 * even(radius)
    return (
        Image.radial_gradient("L")
        .point([_falloff(value, power) for value in range(256)])
        .resize((side, side), Image.Resampling.BICUBIC)
    )


def _falloff(value: int, power: float) -> int:
    """Pillow's radial gradient reaches 255 in the corners; the edge of the circle is at 180."""
    return round(255 * math.pow(max(0.0, 1 - value / 180), power))


def disc(radius: float, *, soft: float = 1.0) -> Image.Image:
    side = even(2 * radius + 8)
    middle = side / 2

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        brush.ellipse(
            [(middle - radius) * k, (middle - radius) * k, (middle + radius) * k, (middle + radius) * k], fill=255
        )

    return outlined((side, side), draw).filter(ImageFilter.GaussianBlur(soft))


def scaled(mask: Image.Image, strength: float) -> Image.Image:
    """The mask, weaker."""
    return mask.point([round(value * strength) for value in range(256)])


def streaks(size: tuple[int, int], dice: random.Random, *, count: int, length: float) -> Image.Image:
    """Slanting strokes of rain."""

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        for _ in range(count):
            x, y, long = dice.random() * size[0], dice.random() * size[1], length * dice.uniform(0.5, 1.3)
            brush.line((x * k, y * k, (x - long * 0.14) * k, (y + long) * k), fill=dice.randint(60, 200), width=k)

    return outlined(size, draw)


def fan(length: int, spread: float) -> Image.Image:
    """A beam of light to the right from the middle of the left edge, fading on its way."""
    high = even(2 * length * math.tan(spread) + 8)

    def draw(brush: ImageDraw.ImageDraw, k: int) -> None:
        reach = length * math.tan(spread)
        brush.polygon(
            [(0, high / 2 * k), (length * k, (high / 2 - reach) * k), (length * k, (high / 2 + reach) * k)], fill=255
        )

    fade = Image.new("L", (length, 1))
    for x in range(length):
        fade.putpixel((x, 0), round(255 * (1 - x / length) ** 1.3))
    soft = outlined((length, high), draw).filter(ImageFilter.GaussianBlur(high / 60))
    return ImageChops.multiply(soft, fade.resize((length, high)))


def turned(length: int, turn: float) -> Image.Image:
    """Two opposite beams seen from the side: they shorten as they turn towards us."""
    reach = math.cos(2 * math.pi * turn)
    side = even(2 * length)
    high = even(length * 0.5)
    mask = Image.new("L", (side, high))
    for sign in (1, -1):
        long = even(abs(reach) * length)
        if long < 40:
            continue
        beam = fan(long, 0.07 + 0.05 * (1 - abs(reach)))
        if sign * reach < 0:
            beam = beam.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        strength = 1.0 if sign > 0 else 0.55
        x = side // 2 if sign * reach > 0 else side // 2 - long
        mask.paste(scaled(beam, strength), (x, (high - beam.height) // 2))
    return mask


def curtain(size: tuple[int, int], dice: random.Random) -> Image.Image:
    """A hanging curtain of light: bright at its lower hem, fading upwards, folded."""
    width, height = size
    hem, fold = curve(dice, length=width / 2.2, rough=0.5), curve(dice, length=width / 9, rough=0.6)
    pixels = bytearray(width * height)
    for x in range(width):
        low = int(height * (0.62 + 0.28 * hem(x)))
        bright = 255 * (0.45 + 0.55 * (0.5 + 0.5 * fold(x)))
        for y in range(low):
            pixels[y * width + x] = round(bright * (y / low) ** 2.2)
        for y in range(low, min(height, low + 6)):
            pixels[y * width + x] = round(bright * (1 - (y - low) / 7))
    mask = Image.frombytes("L", size, bytes(pixels))
    return mask.filter(ImageFilter.GaussianBlur(1.2))


def beams(size: tuple[int, int], dice: random.Random) -> Image.Image:
    """Slanting bands of light, soft, fading downwards."""
    small = (size[0] // 4, size[1] // 4)
    mask = Image.new("L", small)
    brush = ImageDraw.Draw(mask)
    for _ in range(7):
        x, wide = dice.uniform(0.1, 1.1) * small[0], dice.uniform(0.02, 0.09) * small[0]
        lean = 0.38 * small[1]
        points = [(x, 0), (x + wide, 0), (x + wide * 1.9 - lean, small[1]), (x - lean, small[1])]
        brush.polygon(points, fill=dice.randint(90, 220))
    fade = Image.new("L", (1, small[1]))
    for y in range(small[1]):
        fade.putpixel((0, y), round(255 * (1 - y / small[1]) ** 1.2))
    soft = ImageChops.multiply(mask.filter(ImageFilter.GaussianBlur(small[0] / 110)), fade.resize(small))
    return soft.resize((even(size[0]), even(size[1])), Image.Resampling.BICUBIC)


def bokeh(radius: float) -> Image.Image:
    """A lamp out of focus: an even disc with a slightly brighter rim."""
    rim = disc(radius, soft=radius / 22)
    core = disc(radius * 0.9, soft=radius / 9)
    inner = Image.new("L", rim.size)
    inner.paste(core, ((rim.width - core.width) // 2, (rim.height - core.height) // 2))
    return ImageChops.subtract(rim, scaled(inner, 0.28))
