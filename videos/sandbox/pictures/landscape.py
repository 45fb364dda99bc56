"""Draws a scene in grey tones, from 0 (nearest silhouette) to 255 (sun); the colours of the scene are applied later."""

import math
import random
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw
from PIL.Image import Resampling, Transform

from videos.sandbox.pictures.scene import Scene

Size = tuple[int, int]
Layer = Callable[[Image.Image, float], None]  # draws itself on the canvas at a time in seconds
Silhouette = tuple[Image.Image, Image.Image]  # the mask of its shape, and the mask of its bright parts

# By hour: the tones of the sky at its top and at the horizon, and the height of the sun or moon from the top.
_SKY = {"dawn": (96, 214, 0.42), "day": (92, 206, 0.2), "dusk": (58, 216, 0.44), "night": (26, 112, 0.2)}


def column(size: Size, *stops: tuple[float, float]) -> Image.Image:
    """A vertical gradient through stops of (fraction of the height, tone)."""
    tones = bytearray(size[1])
    for (start, first), (end, last) in pairwise([*stops, (1.01, stops[-1][1])]):
        for y in range(round(start * size[1]), min(size[1], round(end * size[1]))):
            tones[y] = round(first + (last - first) * (y / size[1] - start) / (end - start))
    return Image.frombytes("L", (1, size[1]), bytes(tones)).resize(size)


def faded(mask: Image.Image, strength: float) -> Image.Image:
    return mask.point([round(value * strength) for value in range(256)])


def noise(size: Size, rng: random.Random) -> Image.Image:
    return Image.frombytes("L", size, rng.randbytes(math.prod(size)))


def _polygon_mask(size: Size, polygons: Iterable[Iterable[tuple[float, float]]]) -> Image.Image:
    """A mask of polygons, reduced from twice the size so that its edges are smooth."""
    large = Image.new("L", (2 * size[0], 2 * size[1]))
    for points in polygons:
        ImageDraw.Draw(large).polygon([(2 * x, 2 * y) for x, y in points], fill=255)
    return large.reduce(2)


def _glow(radius: float, *, hard: float = 1) -> Image.Image:
    """A round light that fades from the centre; the higher `hard`, the more it is a disc with a sharp edge."""
    falloff = [round(255 * max(0.0, min(1.0, hard * (1 - value / 180))) ** 2) for value in range(256)]
    return Image.radial_gradient("L").point(falloff).resize((round(2 * radius),) * 2, Resampling.BICUBIC)


def _hill(size: Size, rng: random.Random, *, sharp: bool = False) -> Silhouette:
    """Hills, or sharp mountains with snow."""
    waves = [(size[1] * (2.6 if sharp else 6) / 1.9**n, 0.46**n, rng.uniform(0, 6.28)) for n in range(6)]
    crest = []
    for x in range(0, size[0] + 4, 4):
        swing = sum(weight * math.sin(6.28 * x / length + phase) for length, weight, phase in waves) / 1.84
        crest.append((x, size[1] * (0.95 * abs(swing) ** 0.85 if sharp else 0.5 - 0.48 * swing)))
    snow = column(size, (0, 235 * sharp), (0.2, 235 * sharp), (0.8, 0))
    return _polygon_mask(size, [[(0, size[1]), *crest, size]]), snow


def _pines(size: Size, rng: random.Random) -> Silhouette:
    tiers, x, high = [], 0.0, size[1]
    while x < size[0]:
        tree = high * rng.uniform(0.5, 1.0)
        for tier in range(9):
            top, reach = high - tree * (1 - 0.1 * tier), tree * 0.16 * (tier + 0.8) / 9 * rng.uniform(0.8, 1.2)
            tiers.append([(x, top), (x + reach, top + tree * 0.2), (x - reach, top + tree * 0.2)])
        x += high * rng.uniform(0.08, 0.3)
    return _polygon_mask(size, tiers), Image.new("L", size)


def _houses(size: Size, rng: random.Random) -> Silhouette:
    """Houses with windows, some of them lit."""
    pane, left = max(4, 3600 // size[1]), 0
    columns, rows, walls = size[0] // pane + 1, size[1] // pane + 1, Image.new("L", size)
    lit = noise((columns, rows), rng).point([max(0, 250 - 2 * value) for value in range(256)])
    frames = Image.frombytes("L", (2 * columns, 2 * rows), (bytes((0, 255)) * columns + bytes(2 * columns)) * rows)
    panes = ImageChops.multiply(lit.resize(frames.size, Resampling.NEAREST), frames)
    windows = panes.resize((columns * pane, rows * pane), Resampling.NEAREST).crop((0, 0, *size))
    while left < columns:
        right, top = left + rng.randint(4, 9), size[1] * rng.choice((0, 0.15, 0.35, 0.5, 0.7))
        ImageDraw.Draw(walls).rectangle((left * pane, top, right * pane, size[1]), fill=255)
        left = right
    return walls, windows


# By place: the height of the horizon from the top, the distance between rows, and the rows with their heights in
# units. If the distance is 0, the rows stand at the edge of water.
_PLACES: dict[str, tuple[float, float, list[tuple[Callable[[Size, random.Random], Silhouette], int]]]] = {
    "sea": (0.58, 0, [(_hill, 46)]),
    "city": (0.72, 0, [(_houses, 380), (_houses, 290), (_houses, 180)]),
    "forest": (0.36, 0.05, [(_pines, 190), (_pines, 260), (_pines, 340), (_pines, 520)]),
    "peaks": (0.66, 0, [(partial(_hill, sharp=True), 330), (partial(_hill, sharp=True), 210), (_pines, 60)]),
    "dunes": (0.54, 0.1, [(_hill, 84), (_hill, 124), (_hill, 164), (_hill, 204)]),
    "lights": (0.99, 1, []),
    "hills": (0.5, 0.09, [(_hill, 100), (_hill, 110), (_hill, 120), (_hill, 130), (_hill, 140)]),
}


class Landscape:
    """One scene in motion. Lengths are in units (pixels at 720p), so that 1080p looks the same."""

    def __init__(self, scene: Scene, size: Size, *, duration_s: int, rng: random.Random) -> None:
        self._rng, self._duration_s = rng, duration_s
        self._width, self._height = size
        self._unit = unit = min(size) / 720
        night, indoors = scene.hour in ("night", "aurora"), scene.place == "lights"
        top, self._haze, sun_y = _SKY["night" if night else scene.hour]
        self._horizon, step, rows = _PLACES[scene.place]
        sky = column(size, (0, top), (self._horizon, self._haze))
        self.layers: list[Layer] = [lambda canvas, _t: canvas.paste(sky)]
        radius, sun_x = (26 if night else 38) * unit, rng.uniform(0.28, 0.6)
        lights = [(faded(_glow(8 * radius), 0.5 if night else 0.7), 244), (_glow(radius, hard=12), 252)]
        for mask, tone in lights[: 2 - indoors]:
            left, top = round(sun_x * size[0] - mask.width / 2), round(sun_y * size[1] - mask.height / 2)
            sky.paste(tone, (left, top), mask)
        if night:
            self._particles(_glow(2.6 * unit), 90, 248, pulse=True)
        if scene.hour == "aurora":
            self._clouds(0.02, 330, (60, 2), tone=190, speed=26)
        if indoors:
            for tone, fall in ((120, 9), (170, -12), (215, 16)):
                self._particles(faded(_glow(64 * unit, hard=12), 0.6), 9, tone, fall=fall)
        else:
            self._clouds(self._horizon - 0.44, 260, (18, 8), tone=100 if night else 236, speed=12)
        for n, (shape, high) in enumerate(rows):
            size = (self._strip_width(4 + 4 * n * n), round(high * unit))
            mask, bright = (part.resize(size) for part in shape((round(size[0] / unit), high), rng))
            y = self._horizon + (n * step if step else -size[1] / self._height)
            # Distant rows and the lower edge of each row are hazier.
            depth = 0.8 * (1 - n / max(1, len(rows) - 1))
            tone, foot = (round(6 + (self._haze - 6) * share**1.25) for share in (depth, depth + 0.1))
            content = column(mask.size, (0, tone + 12), (0.5, tone), (1, foot))
            content.paste(round(248 - 100 * depth * night), mask=bright)
            self._strip(mask, content, y, foot)
        if not step:
            self.layers.append(self._water)
        if scene.weather == "rain":
            self._particles(_glow(24 * unit).resize((round(3 * unit), round(50 * unit))), 110, 205, fall=900)
        else:
            fall, count = (62, 110) if scene.weather == "snow" else (-7, 24)
            self._particles(_glow(5 * unit), count, 250, fall=fall, pulse=fall < 0)

    def _strip_width(self, speed: float) -> int:
        """The width of a strip that drifts at `speed` units per second; long videos drift more slowly."""
        return self._width + 2 + math.ceil(speed * self._unit * min(8, self._duration_s))

    def _strip(self, mask: Image.Image, content: Image.Image, y: float, ground: int | None = None) -> None:
        """Add a wide picture that drifts to the left in quarter pixels, with solid `ground` below it."""
        moves = [(1, 0, n / 4, 0, 1, 0) for n in range(4)]
        quarters = [mask.transform(mask.size, Transform.AFFINE, move, Resampling.BILINEAR) for move in moves]
        distance, top = mask.width - self._width - 2, round(y * self._height)
        low = top + mask.height

        def draw(canvas: Image.Image, t: float) -> None:
            left, quarter = divmod(int(4 * distance * t / self._duration_s), 4)
            box = (left, 0, left + self._width, mask.height)
            canvas.paste(content.crop(box), (0, top), quarters[quarter].crop(box))
            if ground is not None:
                canvas.paste(ground, (0, low, self._width, self._height))

        self.layers.append(draw)

    def _clouds(self, y: float, high: float, cells: Size, *, tone: int, speed: float) -> None:
        """Add clouds; many narrow cells give an aurora."""
        size = (self._strip_width(speed), round(high * self._unit))
        total = Image.new("L", size)
        for scale, weight in ((1, 0.6), (2, 0.3), (4, 0.15)):
            grid = (cells[0] * scale, cells[1] * scale if cells[1] > 2 else 2)
            total = ImageChops.add(total, faded(noise(grid, self._rng).resize(size, Resampling.BICUBIC), weight))
        mask = total.point([round(255 * max(0.0, min(1.0, (value - 118) / 90))) for value in range(256)])
        self._strip(ImageChops.multiply(mask, column(size, (0, 0), (0.7, 205), (1, 0))), Image.new("L", size, tone), y)

    def _particles(self, mask: Image.Image, count: int, tone: int, *, fall: float = 0, pulse: bool = False) -> None:
        """Add stars, snow, rain, dust or lamps: small masks that move and reappear on the opposite side."""
        rng, edge, sway = self._rng, 2 * mask.height, 24 * self._unit if 0 < abs(fall) < 100 else 0
        sizes = [mask.resize((max(2, int(mask.width * k)), max(2, int(mask.height * k)))) for k in (0.6, 1, 1.6)]
        levels = [[faded(size, level / 6) for level in range(7)] for size in sizes]
        particles = [(rng.random(), rng.random(), rng.choice((0, 0, 1, 2)), 6.28 * rng.random()) for _ in range(count)]

        def draw(canvas: Image.Image, t: float) -> None:
            for x, y, size, phase in particles:
                left = x * self._width + sway * math.sin(t * (0.7 + 0.1 * phase) + phase) - edge // 4
                top = (y * self._height + fall * (0.7 + 0.3 * size) * self._unit * t) % (self._height + edge) - edge
                level = round(3 + 2.5 * math.sin(t * 1.7 + 9 * phase)) if pulse else 4 + size
                canvas.paste(tone, (round(left), round(top)), levels[size][level])

        self.layers.append(draw)

    def _water(self, canvas: Image.Image, t: float) -> None:
        """Draw the reflection of everything above the horizon, distorted by waves that grow towards the viewer."""
        top = round(self._horizon * self._height)
        depth = self._height - top
        mirrored = canvas.crop((0, top - depth, self._width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        mirrored = faded(mirrored, 0.84)
        for n, (y, low) in enumerate(pairwise(round(depth * (n / 44) ** 1.4) for n in range(45))):
            wave = math.sin(2.1 * t + 2.4 * n) + 0.6 * math.sin(0.7 * n - 1.3 * t)
            source = max(0, min(depth - low + y, y + round(wave * (2 + 0.6 * n) * self._unit)))
            canvas.paste(mirrored.crop((0, source, self._width, source + low - y)), (0, top + y))
