"""What is in the air: snow, dust and fireflies, rain, mist, birds."""

import math

from PIL import Image

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.paint import Canvas, Colour, Sprite, mix
from videos.sandbox.art.stage import Actor, Stage, drifting, strip


def motes(
    stage: Stage,
    *,
    colour: Colour,
    count: int,
    size: float,
    fall: float,
    sway: float,
    strength: float,
    pulse: bool = False,
) -> Actor:
    """Snow, dust, pollen, fireflies: soft points on their own slow ways, coming back on the other side."""
    dice = stage.dice

    def point(scale: float, share: float) -> Sprite:
        soft = glows.glow(max(2, round(size * scale * stage.unit)), power=1.5)
        return Sprite(colour, glows.scaled(soft, strength * share), luma_only=True)

    kinds = [point(0.6, 0.7), point(1.0, 0.85), point(1.7, 1.0)]
    faint = [point(1.0, level / 5) for level in range(6)]
    flock = [
        (dice.random(), dice.random(), dice.randrange(3), dice.uniform(0.7, 1.3), dice.uniform(0, 2 * math.pi))
        for _ in range(count)
    ]

    def act(canvas: Canvas, t: float) -> None:
        for x, y, kind, pace, phase in flock:
            near = 0.6 + 0.5 * kind
            down = (y * stage.height + fall * pace * near * stage.unit * t) % (stage.height + 60) - 30
            across = (
                x * stage.width + sway * stage.unit * math.sin(t * 0.9 * pace + phase) - 9 * near * stage.unit * t
            ) % (stage.width + 60) - 30
            sprite = faint[round(2.5 + 2.5 * math.sin(t * 1.7 * pace + phase))] if pulse else kinds[kind]
            sprite.put(canvas, across, down)

    return act


def rain(stage: Stage) -> Actor:
    """Thin slanting strokes, falling fast."""
    high, speed = stage.height + stage.pixels(60), 860 * stage.unit
    strokes = glows.streaks(
        (stage.width, high), stage.dice, count=stage.width * stage.height // 5000, length=28 * stage.unit
    )
    sheet = Sprite((205.0, 215.0, 230.0), glows.scaled(strokes, 0.42), luma_only=True)

    def act(canvas: Canvas, t: float) -> None:
        down = round(speed * t % high)
        sheet.put(canvas, 0, down)
        sheet.put(canvas, 0, down - high)

    return act


def birds(stage: Stage, *, y: float) -> Actor:
    """A few far birds, beating their wings, going their way."""
    frames = [
        Sprite(stage.far(0.15), shapes.bird(stage.pixels(26), lift)) for lift in (-0.6, -0.2, 0.3, 0.8, 0.3, -0.2)
    ]
    flock = [
        (stage.dice.uniform(0.1, 0.5), y + stage.dice.uniform(-0.05, 0.05), stage.dice.uniform(0, 6)) for _ in range(5)
    ]

    def act(canvas: Canvas, t: float) -> None:
        for x, down, phase in flock:
            wing = frames[int(t * 9 + phase) % len(frames)]
            across = (x + 0.035 * t) * stage.width
            wing.put(canvas, across, down * stage.height - 10 * stage.unit * math.sin(t * 0.8 + phase))

    return act


def mist(stage: Stage, *, y: float, speed: float, strength: float) -> Actor:
    size = strip(stage, speed, 210)
    small = glows.strip_half(size)
    mask = glows.clouds(small, stage.dice, cover=0.72).resize(size, Image.Resampling.BILINEAR)
    colour = mix(stage.mood.palette.haze, stage.mood.palette.horizon, 0.45)
    sprite = Sprite(colour, glows.scaled(mask, strength), luma_only=True)
    return drifting(stage, sprite, x=min(0.0, stage.travel(speed)), y=y * stage.height - size[1] / 2, speed=speed)
