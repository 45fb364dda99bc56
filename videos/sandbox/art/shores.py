"""The sea and the desert: waves, a path of light, a lighthouse; dunes."""

import math

from PIL import Image

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.air import birds, motes
from videos.sandbox.art.heavens import heavens, sky
from videos.sandbox.art.paint import Canvas, Colour, Sprite, gradient, mix, rgb, whole
from videos.sandbox.art.stage import Actor, Scene, Stage, drifting, land, strip

WHITE: Colour = (255.0, 255.0, 255.0)


def sea(stage: Stage) -> Scene:
    dice, horizon = stage.dice, 0.56
    top = horizon * stage.height
    sun_x = dice.uniform(0.3, 0.42) if stage.mood.lighthouse else dice.uniform(0.35, 0.65)
    actors = heavens(
        stage, horizon=horizon, sun=(sun_x, horizon - 0.09), rise=-0.035 if stage.mood.hour == "dusk" else 0.03
    )
    size = strip(stage, 4, 90)
    coast = shapes.ridge(size, shapes.curve(dice, length=900 * stage.unit, rough=0.55), amplitude=80 * stage.unit)
    actors.append(
        land(stage, coast, top=stage.far(0.72), foot=stage.far(0.92), y=top - size[1] + 6 * stage.unit, speed=4)
    )
    actors.append(_water(stage, top))
    waves = (
        (0.035, 26, 8, 0.66),
        (0.085, 40, -14, 0.48),
        (0.16, 60, 22, 0.32),
        (0.27, 84, -32, 0.16),
        (0.39, 110, 46, 0.0),
    )
    for number, (depth, tall, speed, haze) in enumerate(waves):
        if number == 1 and stage.mood.lighthouse:
            actors.append(_lighthouse(stage, top))
        if number == 3:
            actors.append(_shimmer(stage, x=sun_x * stage.width, y=top))
        actors.append(_wave(stage, top, depth=depth, tall=tall, speed=speed, haze=haze))
    actors.append(birds(stage, y=horizon - 0.22))
    return sky(stage, horizon=horizon), actors


def _water(stage: Stage, top: float) -> Actor:
    p = stage.mood.palette
    size = (stage.width, shapes.even(stage.height - top))
    picture = gradient(
        size, [(0.0, mix(p.horizon, p.haze, 0.45)), (0.25, mix(p.sky, p.near, 0.35)), (1.0, mix(p.zenith, p.near, 0.7))]
    )
    sprite = Sprite(picture, Image.new("L", size, 255))
    return lambda canvas, _t: sprite.put(canvas, 0, top)


def _wave(stage: Stage, top: float, *, depth: float, tall: float, speed: float, haze: float) -> Actor:
    """A swell with a lit crest, sliding and rolling."""
    p = stage.mood.palette
    size = strip(stage, speed, (1 - depth) * stage.height * 0.5 / stage.unit)
    crest = shapes.ridge(
        size,
        shapes.curve(stage.dice, length=(300 + 900 * depth) * stage.unit, rough=0.42),
        amplitude=tall * stage.unit * 0.4,
    )
    body = mix(mix(p.near, p.zenith, 0.55), mix(p.sky, p.haze, 0.5), haze)
    edge = 0.5 - 0.5 * depth
    picture = gradient(
        size,
        [
            (0.0, mix(body, p.horizon, 0.9 * edge)),
            (0.07, mix(body, p.horizon, 0.42 * edge)),
            (0.22, body),
            (1.0, mix(body, p.near, 0.6)),
        ],
    )
    sprite = Sprite(picture, crest)
    y = top + depth * stage.height
    return drifting(
        stage,
        sprite,
        x=min(0.0, stage.travel(speed)),
        y=y,
        speed=speed,
        bob=(2 + 9 * depth) * stage.unit,
        beat_s=4 + 3 * depth,
    )


def _shimmer(stage: Stage, *, x: float, y: float) -> Actor:
    """Two sheets of glints under the light, sliding over each other."""
    p, high = stage.mood.palette, shapes.even((stage.height - y) * 0.8)
    first = Sprite(
        mix(p.light, WHITE, 0.2), glows.scaled(shapes.ripples((stage.pixels(420), high), stage.dice, count=130), 0.85)
    )
    second = Sprite(
        mix(p.light, p.horizon, 0.4),
        glows.scaled(shapes.ripples((stage.pixels(540), high), stage.dice, count=110), 0.6),
    )

    def act(canvas: Canvas, t: float) -> None:
        first.put(canvas, x - first.size[0] / 2 + 16 * stage.unit * math.sin(t * 1.3), y)
        second.put(
            canvas,
            x - second.size[0] / 2 - 22 * stage.unit * math.sin(t * 0.9 + 1),
            y + 3 * stage.unit * math.sin(t * 2.1),
        )

    return act


def _lighthouse(stage: Stage, top: float) -> Actor:
    """A tower on a rock, its beam sweeping."""
    dice, x = stage.dice, 0.76 * stage.width
    rock_size = (stage.pixels(560), stage.pixels(150))
    rock = shapes.mound(rock_size, dice)
    tower, lamp_down = shapes.lighthouse(stage.pixels(270))
    dark = stage.far(0.06)
    stone = Sprite(gradient(rock_size, [(0.0, stage.far(0.16)), (1.0, dark)]), rock)
    body = Sprite(gradient(tower.size, [(0.0, stage.far(0.1)), (0.5, stage.far(0.22)), (1.0, dark)]), tower)
    light: Colour = (255.0, 232.0, 170.0)
    halo = Sprite(light, glows.glow(stage.pixels(95), power=2.2))
    lamp = Sprite(WHITE, glows.disc(7 * stage.unit))
    turns = 24
    beams = [Sprite(light, glows.scaled(glows.turned(stage.pixels(620), turn / turns), 0.5)) for turn in range(turns)]
    foot = top + 44 * stage.unit
    stands = foot - rock_size[1] * 0.38
    lamp_y = stands - tower.height + lamp_down

    def act(canvas: Canvas, t: float) -> None:
        beam = beams[int(t / 6 * turns) % turns]
        beam.put(canvas, x - beam.size[0] / 2, lamp_y - beam.size[1] / 2)
        body.put(canvas, x - tower.width / 2, stands - tower.height)
        stone.put(canvas, x - rock_size[0] / 2, foot - rock_size[1] * 0.72)
        halo.put(canvas, x - halo.size[0] / 2, lamp_y - halo.size[1] / 2)
        lamp.put(canvas, x - lamp.size[0] / 2, lamp_y - lamp.size[1] / 2)

    return act


def dunes(stage: Stage) -> Scene:
    p, dice = stage.mood.palette, stage.dice
    horizon = 0.58
    actors = heavens(stage, horizon=horizon, sun=(dice.uniform(0.3, 0.7), horizon - 0.14), rise=-0.04, cover=0.36)
    sand, shadow = mix(p.horizon, rgb("#e0a060"), 0.5), mix(p.near, rgb("#5a2b20"), 0.45)
    if stage.mood.hour == "night":
        sand, shadow = mix(p.sky, rgb("#8a7a80"), 0.25), mix(p.near, p.zenith, 0.5)
    rows = ((0.53, 70, 5, 0.80), (0.59, 110, 11, 0.55), (0.68, 150, 22, 0.28), (0.80, 150, 42, 0.0))
    for y, tall, speed, haze in rows:
        size = strip(stage, speed, (1 - y) * stage.height / stage.unit + 20)
        height = shapes.curve(dice, length=980 * stage.unit, rough=0.36, octaves=4)
        mask = shapes.ridge(size, height, amplitude=tall * stage.unit)
        lit = mix(mix(sand, shadow, 0.55 - 0.5 * haze), p.haze, haze * 0.6)
        dark = mix(mix(shadow, sand, 0.16), p.haze, haze * 0.7)
        picture = gradient(size, [(0.0, mix(lit, p.light, 0.25)), (0.35, lit), (1.0, dark)])
        shade = shapes.flanks(size, height, dice, amplitude=tall * stage.unit, sharp=False)
        picture = Image.composite(Image.new("RGB", size, whole(dark)), picture, shade)
        actors.append(
            drifting(stage, Sprite(picture, mask), x=min(0.0, stage.travel(speed)), y=y * stage.height, speed=speed)
        )
    actors.append(motes(stage, colour=p.light, count=34, size=4, fall=3, sway=30, strength=0.5))
    return sky(stage, horizon=horizon), actors
