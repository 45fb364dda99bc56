"""Where a scene is set: its measures, its dice, and the way things in it move."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from videos.sandbox.art import shapes
from videos.sandbox.art.mood import Mood
from videos.sandbox.art.paint import Backdrop, Canvas, Colour, Sprite, gradient, mix

Actor = Callable[[Canvas, float], None]  # paints itself at a time in seconds
Scene = tuple[Backdrop, list[Actor]]  # the sky, and what moves before it, the farthest first


@dataclass(slots=True)
class Stage:
    """`unit` is a pixel of a 720p picture; every length is told in it, so that 1080p is drawn as finely."""

    width: int
    height: int
    unit: float
    duration_s: float
    mood: Mood
    dice: random.Random
    still: list[tuple[Sprite, float, float]] = field(default_factory=list)  # painted into the sky, before all actors

    @property
    def portrait(self) -> bool:
        return self.height > self.width

    def pixels(self, units: float) -> int:
        return shapes.even(units * self.unit)

    def far(self, depth: float) -> Colour:
        """The colour of land at a depth: 0 stands before us, 1 is lost in the haze."""
        return mix(self.mood.palette.near, self.mood.palette.haze, depth)

    def travel(self, units_per_s: float) -> float:
        """How far something drifts in the whole film, at most most of the picture's width."""
        limit = 0.8 * self.width
        way = units_per_s * self.unit * self.duration_s
        return max(-limit, min(limit, way))


def drifting(
    stage: Stage, sprite: Sprite, *, x: float, y: float, speed: float, bob: float = 0.0, beat_s: float = 5.0
) -> Actor:
    """A sprite that moves left at `speed` units per second, and up and down by `bob` pixels."""
    way = stage.travel(speed)
    phase = stage.dice.uniform(0, 2 * math.pi)

    def act(canvas: Canvas, t: float) -> None:
        lift = bob * math.sin(2 * math.pi * t / beat_s + phase) if bob else 0.0
        sprite.put(canvas, x - way * t / stage.duration_s, y + lift)

    return act


def land(stage: Stage, mask: Image.Image, *, top: Colour, foot: Colour, y: float, speed: float) -> Actor:
    """A silhouette, wide enough for its way, with its foot in the haze."""
    sprite = Sprite(gradient(mask.size, [(0.0, top), (1.0, foot)]), mask)
    return drifting(stage, sprite, x=min(0.0, stage.travel(speed)), y=y, speed=speed)


def strip(stage: Stage, speed: float, units_high: float) -> tuple[int, int]:
    """The size of a silhouette that must cover the picture on all its way."""
    return shapes.even(stage.width + abs(stage.travel(speed)) + 8), stage.pixels(units_high)
