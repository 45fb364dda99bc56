"""What is above: the sky and its colours, sun or moon, stars, clouds, northern lights."""

import math

from PIL import Image

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.paint import Backdrop, Canvas, Sprite, gradient, mix, rgb
from videos.sandbox.art.stage import Actor, Stage, drifting, strip


def sky(stage: Stage, *, horizon: float) -> Backdrop:
    """Two skies: the hour's own, and the one it turns to."""
    p = stage.mood.palette
    first = [(0.0, p.zenith), (horizon * 0.55, p.sky), (horizon, p.horizon), (1.0, mix(p.horizon, p.near, 0.5))]
    last = [
        (0.0, mix(p.zenith, p.later, 0.7)),
        (horizon * 0.5, mix(p.sky, p.later, 0.3)),
        (horizon, mix(p.horizon, p.light, 0.12)),
        (1.0, mix(p.horizon, p.near, 0.6)),
    ]
    size = (stage.width, stage.height)
    backdrop = Backdrop(gradient(size, first), gradient(size, last))
    for sprite, x, y in stage.still:
        backdrop.bake(sprite, x, y)
    return backdrop


def luminary(stage: Stage, *, x: float, y: float, rise: float) -> Actor:
    """Sun or moon with its halo; `x`, `y` in shares of the picture, `rise` in shares of the height over the film."""
    p, moon = stage.mood.palette, stage.mood.hour == "night"
    wide = Sprite(p.light, glows.scaled(glows.glow(stage.pixels(330), power=2.6), 0.42 if moon else 0.75))
    core = Sprite(p.light, glows.scaled(glows.glow(stage.pixels(120), power=1.8), 0.5 if moon else 0.8))
    ball = Sprite(mix(p.light, (255, 255, 255), 0.5), glows.disc(stage.unit * (30 if moon else 40), soft=stage.unit))

    def act(canvas: Canvas, t: float) -> None:
        down = (y - rise * t / stage.duration_s) * stage.height
        for sprite in (wide, core, ball):
            sprite.put(canvas, x * stage.width - sprite.size[0] / 2, down - sprite.size[1] / 2)

    return act


def cloud_bank(stage: Stage, *, y: float, units_high: float, speed: float, cover: float, strength: float) -> Actor:
    p = stage.mood.palette
    small = glows.strip_half(strip(stage, speed, units_high))
    mask = glows.clouds(small, stage.dice, cover=cover).resize(
        strip(stage, speed, units_high), Image.Resampling.BILINEAR
    )
    lit = mix(p.horizon, p.light, 0.5 if stage.mood.hour != "night" else 0.05)
    picture = gradient(
        mask.size,
        [(0.0, mix(lit, (255, 255, 255), 0.2 if stage.mood.hour == "day" else 0.0)), (1.0, mix(p.sky, lit, 0.35))],
    )
    sprite = Sprite(picture, glows.scaled(mask, strength))
    return drifting(stage, sprite, x=min(0.0, stage.travel(speed)), y=y * stage.height, speed=speed)


def stars(stage: Stage, *, below: float, count: int = 150) -> Actor:
    """A field of stars, most of them still, some twinkling."""
    dice = stage.dice
    light = (235.0, 240.0, 255.0)
    dots = Image.new("L", (stage.width, shapes.even(below * stage.height)))
    for _ in range(count):
        x, y = dice.randrange(dots.width), int(dots.height * dice.random() ** 1.4)
        dots.putpixel((x, y), dice.randint(70, 220))
        if dice.random() < 0.3 and x + 1 < dots.width:
            dots.putpixel((x + 1, y), 90)
    stage.still.append((Sprite(light, dots, luma_only=True), 0, 0))
    point = glows.glow(stage.pixels(5), power=2.2)
    points = [Sprite(light, glows.scaled(point, level / 6), luma_only=True) for level in range(1, 7)]
    bright = [
        (
            dice.random() * stage.width,
            dice.random() ** 1.3 * dots.height * 0.9,
            dice.uniform(1.6, 4),
            dice.uniform(0, 6),
        )
        for _ in range(26)
    ]

    def act(canvas: Canvas, t: float) -> None:
        for x, y, beat_s, phase in bright:
            level = round(2.5 + 2.5 * math.sin(2 * math.pi * t / beat_s + phase))
            points[level].put(canvas, x, y)

    return act


def heavens(
    stage: Stage, *, horizon: float, sun: tuple[float, float], rise: float = 0.05, cover: float = 0.5
) -> list[Actor]:
    """Stars at night, the sun or moon, and two banks of clouds."""
    night = stage.mood.hour == "night"
    actors = [stars(stage, below=horizon)] if night else []
    if stage.mood.aurora:
        actors.append(aurora(stage))
    actors.append(luminary(stage, x=sun[0], y=sun[1], rise=rise))
    strength = 0.3 if night else 0.75
    actors.append(cloud_bank(stage, y=horizon - 0.42, units_high=230, speed=9, cover=cover, strength=strength))
    actors.append(
        cloud_bank(stage, y=horizon - 0.2, units_high=130, speed=5, cover=cover + 0.08, strength=strength * 0.8)
    )
    return actors


def aurora(stage: Stage) -> Actor:
    """Curtains of green and violet, swaying."""
    curtains = []
    for colour, y, speed in ((rgb("#3dffb0"), 0.04, 26), (rgb("#7a5cff"), 0.0, -20), (rgb("#3de0ff"), 0.09, 15)):
        size = strip(stage, speed, 300)
        mask = glows.curtain((size[0] // 4, size[1] // 4), stage.dice).resize(size, Image.Resampling.BICUBIC)
        sprite = Sprite(colour, glows.scaled(mask, 0.55))
        curtains.append(drifting(stage, sprite, x=min(0.0, stage.travel(speed)), y=y * stage.height, speed=speed))

    def act(canvas: Canvas, t: float) -> None:
        for curtain in curtains:
            curtain(canvas, t)

    return act
