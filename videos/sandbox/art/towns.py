"""Where people are: a skyline with lit windows, and lights out of focus for everything indoors."""

import math

from PIL import Image, ImageDraw

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.air import motes
from videos.sandbox.art.heavens import heavens, sky
from videos.sandbox.art.paint import Canvas, Colour, Sprite, gradient, mix, rgb, whole
from videos.sandbox.art.stage import Actor, Scene, Stage, drifting, strip

WHITE: Colour = (255.0, 255.0, 255.0)


def city(stage: Stage) -> Scene:
    p, dice = stage.mood.palette, stage.dice
    horizon = 0.72
    night = stage.mood.hour in ("night", "dusk")
    actors = heavens(stage, horizon=horizon, sun=(dice.uniform(0.2, 0.8), 0.26), rise=0.03, cover=0.4)
    neon = mix(rgb("#ff4d9d"), rgb("#35c8ff"), dice.random())
    haze = Sprite(
        mix(neon, p.horizon, 0.45), glows.scaled(glows.glow(stage.pixels(560), power=1.6), 0.5 if night else 0.15)
    )
    stage.still.append((haze, stage.width / 2 - haze.size[0] / 2, horizon * stage.height - haze.size[1] * 0.55))
    rows = ((0.30, 300, 62, 6, 0.72), (0.36, 330, 84, 13, 0.40), (0.44, 400, 128, 28, 0.06))
    for y, tall, unit, speed, depth in rows:
        size = strip(stage, speed, (1 - y) * stage.height / stage.unit)
        mask, houses = shapes.towers(
            size,
            dice,
            tall=min(size[1] * 0.9, (tall + (1 - y) * 160) * stage.unit * (1.4 if stage.portrait else 1.0)),
            unit=unit * stage.unit,
        )
        wall = mix(stage.far(depth), neon, 0.05 + 0.1 * depth if night else 0.0)
        picture = gradient(size, [(0.0, wall), (1.0, mix(wall, neon if night else p.haze, 0.35))])
        _windows(picture, houses, stage, pane=unit * stage.unit / 9, lit=0.42 if night else 0.1, fade=depth, wall=wall)
        actors.append(
            drifting(stage, Sprite(picture, mask), x=min(0.0, stage.travel(speed)), y=y * stage.height, speed=speed)
        )
    actors.append(motes(stage, colour=mix(neon, WHITE, 0.4), count=16, size=16, fall=-4, sway=40, strength=0.3))
    return sky(stage, horizon=horizon), actors


def _windows(
    picture: Image.Image,
    houses: list[tuple[float, float, float, float]],
    stage: Stage,
    *,
    pane: float,
    lit: float,
    fade: float,
    wall: Colour,
) -> None:
    """Lit windows, floor by floor, warm and cold."""
    dice, brush = stage.dice, ImageDraw.Draw(picture)
    lamps = [mix(rgb(colour), wall, fade * 0.8) for colour in ("#ffd27a", "#ffe8b8", "#9fd8ff", "#ff9d5c", "#ffc4e4")]
    for left, top, right, bottom in houses:
        lively = lit * dice.uniform(0.4, 1.5)
        y = top + pane
        while y < bottom - pane:
            x = left + pane * 0.8
            while x < right - pane * 1.2:
                if dice.random() < lively:
                    lamp = mix(dice.choice(lamps), wall, dice.uniform(0.0, 0.55))
                    brush.rectangle((x, y, x + pane * 0.62, y + pane * 0.85), fill=whole(lamp))
                x += pane * 1.25
            y += pane * 1.7


def lights(stage: Stage) -> Scene:
    """No place at all: soft discs of light out of focus, for people, animals and things on tables."""
    p, dice = stage.mood.palette, stage.dice
    warm = [rgb(colour) for colour in ("#ffb547", "#ff7a59", "#ffd9a0", "#c2477f", "#6d8cff")]
    discs: list[tuple[Sprite, float, float, float, float, float]] = []
    for number in range(22):
        radius = stage.unit * dice.uniform(26, 96) * (0.55 + number / 26)
        mask = glows.bokeh(radius)
        sprite = Sprite(mix(dice.choice(warm), p.light, 0.15), glows.scaled(mask, dice.uniform(0.14, 0.42)))
        discs.append(
            (
                sprite,
                dice.random(),
                dice.random() ** 1.2,
                dice.uniform(-16, 16),
                dice.uniform(6, 14),
                dice.uniform(0, 6.3),
            )
        )
    lamp = Sprite(warm[0], glows.scaled(glows.glow(stage.pixels(520), power=1.9), 0.5))

    def act(canvas: Canvas, t: float) -> None:
        lamp.put(
            canvas,
            (0.62 + 0.05 * math.sin(t * 0.4)) * stage.width - lamp.size[0] / 2,
            0.36 * stage.height - lamp.size[1] / 2,
        )
        for sprite, x, y, speed, beat_s, phase in discs:
            across = x * stage.width + speed * stage.unit * t
            down = y * stage.height + 20 * stage.unit * math.sin(2 * math.pi * t / beat_s + phase)
            sprite.put(canvas, across - sprite.size[0] / 2, down - sprite.size[1] / 2)

    actors: list[Actor] = [
        act,
        motes(stage, colour=p.light, count=40, size=5, fall=-8, sway=30, strength=0.7, pulse=True),
    ]
    return sky(stage, horizon=0.95), actors
