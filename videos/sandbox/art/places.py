"""The seven places a prompt can lead to, and the weather there."""

from collections.abc import Callable

from videos.sandbox.art.air import motes, rain
from videos.sandbox.art.heights import forest, hills, peaks
from videos.sandbox.art.shores import dunes, sea
from videos.sandbox.art.stage import Scene, Stage
from videos.sandbox.art.towns import city, lights

PLACES: dict[str, Callable[[Stage], Scene]] = {
    "sea": sea,
    "city": city,
    "forest": forest,
    "peaks": peaks,
    "dunes": dunes,
    "lights": lights,
    "hills": hills,
}


def build(stage: Stage) -> Scene:
    """The whole scene of a mood, its weather included."""
    backdrop, actors = PLACES[stage.mood.place](stage)
    if stage.mood.weather == "rain":
        actors.append(rain(stage))
    elif stage.mood.weather == "snow":
        actors.append(motes(stage, colour=(255.0, 255.0, 255.0), count=110, size=5, fall=58, sway=22, strength=0.95))
    return backdrop, actors
