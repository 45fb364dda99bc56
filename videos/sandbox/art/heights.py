"""Hills, mountains and forests: rows of land behind each other, mist between them."""

from PIL import Image

from videos.sandbox.art import glows, shapes
from videos.sandbox.art.air import birds, mist, motes
from videos.sandbox.art.heavens import heavens, luminary, sky, stars
from videos.sandbox.art.paint import Colour, Sprite, gradient, mix, rgb, whole
from videos.sandbox.art.stage import Scene, Stage, drifting, land, strip

WHITE: Colour = (255.0, 255.0, 255.0)


def hills(stage: Stage) -> Scene:
    horizon = 0.62
    actors = heavens(stage, horizon=horizon, sun=(stage.dice.uniform(0.25, 0.75), horizon - 0.16), rise=0.05)
    rows = (
        (0.50, 130, 6, 0.86),
        (0.57, 150, 11, 0.64),
        (0.66, 170, 20, 0.40),
        (0.76, 190, 34, 0.16),
        (0.87, 170, 56, 0.0),
    )
    for number, (y, tall, speed, haze) in enumerate(rows):
        size = strip(stage, speed, (1 - y) * stage.height / stage.unit + 20)
        crest = shapes.curve(stage.dice, length=(620 - 40 * number) * stage.unit, rough=0.46)
        mask = shapes.ridge(size, crest, amplitude=tall * stage.unit)
        green = mix(
            stage.far(haze),
            rgb("#5f8a3c"),
            {"day": 0.5, "dawn": 0.38, "dusk": 0.16, "night": 0.06}[stage.mood.hour] * (1 - 0.6 * haze),
        )
        actors.append(
            land(
                stage,
                mask,
                top=green,
                foot=mix(green, stage.far(min(1, haze + 0.3)), 0.9),
                y=y * stage.height,
                speed=speed,
            )
        )
    actors.append(birds(stage, y=0.3))
    return sky(stage, horizon=horizon), actors


def peaks(stage: Stage) -> Scene:
    horizon = 0.66
    p, dice = stage.mood.palette, stage.dice
    actors = heavens(stage, horizon=horizon, sun=(dice.uniform(0.2, 0.8), 0.24), rise=0.03)
    for y, tall, speed, haze in ((0.30, 210, 5, 0.74), (0.40, 220, 10, 0.46)):
        size = strip(stage, speed, (1 - y) * stage.height / stage.unit)
        height = shapes.curve(dice, length=820 * stage.unit, rough=0.5, octaves=6)
        mask = shapes.ridge(size, height, amplitude=tall * stage.unit * 1.3, sharp=True)
        rock = stage.far(haze)
        snow = mix(mix(WHITE, p.light, 0.25), p.haze, haze * 0.55 + (0.35 if stage.mood.hour == "night" else 0))
        picture = gradient(
            size, [(0.0, snow), (0.20, mix(snow, rock, 0.25)), (0.42, rock), (1.0, mix(rock, p.haze, 0.75))]
        )
        shade = shapes.flanks(size, height, dice, amplitude=tall * stage.unit * 1.3, sharp=True)
        picture = Image.composite(Image.new("RGB", size, whole(mix(rock, p.zenith, 0.4))), picture, shade)
        actors.append(
            drifting(stage, Sprite(picture, mask), x=min(0.0, stage.travel(speed)), y=y * stage.height, speed=speed)
        )
    actors.append(mist(stage, y=0.60, speed=-10, strength=0.75))
    for y, tall, gap, speed, haze in ((0.64, 130, 26, 20, 0.36), (0.72, 200, 44, 38, 0.08)):
        size = strip(stage, speed, (1 - y) * stage.height / stage.unit)
        mask = shapes.standing(
            shapes.pines((size[0], stage.pixels(tall * 1.3)), dice, tall=tall * stage.unit, gap=gap * stage.unit), size
        )
        actors.append(
            land(
                stage, mask, top=stage.far(haze), foot=stage.far(min(1.0, haze + 0.25)), y=y * stage.height, speed=speed
            )
        )
    return sky(stage, horizon=horizon), actors


def forest(stage: Stage) -> Scene:
    p, dice = stage.mood.palette, stage.dice
    actors = [stars(stage, below=0.5)] if stage.mood.hour == "night" else []
    actors.append(luminary(stage, x=dice.uniform(0.35, 0.65), y=0.34, rise=0.05))
    if stage.mood.hour != "night":
        _shafts(stage)
    moss = rgb("#2f4a36")
    rows = ((0.16, 330, 40, 6, 0.84), (0.24, 400, 58, 12, 0.60), (0.34, 470, 86, 24, 0.34), (0.42, 560, 150, 46, 0.05))
    for number, (y, tall, gap, speed, haze) in enumerate(rows):
        # Down to where the next row stands on solid ground: what is hidden need not be painted.
        deep = (1 - y) * stage.height / stage.unit
        if number < 3:
            following = rows[number + 1]
            deep = min(deep, (following[0] - y) * stage.height / stage.unit + following[1] * 1.1)
        size = strip(stage, speed, deep)
        mask = shapes.standing(
            shapes.pines(
                (size[0], stage.pixels(tall * 1.1)), dice, tall=0.85 * tall * stage.unit, gap=gap * stage.unit
            ),
            size,
        )
        tint = mix(stage.far(haze), moss, 0.3 * (1 - haze))
        actors.append(land(stage, mask, top=tint, foot=mix(tint, p.haze, 0.55), y=y * stage.height, speed=speed))
        if number in (1, 2):
            actors.append(mist(stage, y=0.68 + 0.07 * number, speed=(10, -18)[number - 1], strength=0.65))
    glow = rgb("#ffe9a0") if stage.mood.hour != "night" else rgb("#d8ff9a")
    actors.append(motes(stage, colour=glow, count=34, size=7, fall=-7, sway=26, strength=0.9, pulse=True))
    return sky(stage, horizon=0.72), actors


def _shafts(stage: Stage) -> None:
    """Light falling in slanting bands through the trees."""
    size = (stage.width, stage.pixels(620))
    bands = glows.scaled(glows.beams(size, stage.dice), 0.34)
    stage.still.append((Sprite(stage.mood.palette.light, bands, luma_only=True), 0, 0))
