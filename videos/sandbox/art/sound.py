"""A quiet chord for every film: slow, a little wide, with wind or water behind it. Made by the audio filters."""

import random

from videos.sandbox.art.mood import Mood
from videos.sandbox.reel import RATE_HZ

_DRAWN_HZ = 8000  # nothing above 1500 Hz is heard of it, and every sample costs thirty sines

# Roots in Hz and chords in semitones, by hour.
_CHORDS = {
    "dawn": (146.83, (0, 7, 12, 16, 19)),
    "day": (174.61, (0, 7, 11, 14, 16)),
    "dusk": (130.81, (0, 7, 10, 15, 19)),
    "night": (110.00, (0, 7, 12, 14, 22)),
}
_WATER = {"sea": 0.05, "forest": 0.012, "peaks": 0.03, "dunes": 0.025, "hills": 0.012, "city": 0.015, "lights": 0.004}


def chain(mood: Mood, *, duration_s: int, seed: int) -> list[tuple[str, str]]:
    """The filters that make the sound, source first."""
    dice = random.Random(seed)  # noqa: S311 - dice, not secrets
    root, steps = _CHORDS[mood.hour]
    sides = [_voices(root, steps, dice, duration_s) for _ in range(2)]
    noise = _WATER[mood.place] * (2.2 if mood.weather == "rain" else 1)
    swell = "(0.6+0.4*sin(2*PI*t/5.3))"
    exprs = "|".join(f"({side})+{noise:.4f}*{swell}*(random({number})*2-1)" for number, side in enumerate(sides))
    return [
        ("aevalsrc", f"exprs={exprs}:s={_DRAWN_HZ}:d={duration_s}"),
        ("aresample", str(RATE_HZ)),
        ("lowpass", "f=1500"),
        ("aecho", "in_gain=0.8:out_gain=0.7:delays=190|410:decays=0.35|0.22"),
        ("atrim", f"duration={duration_s}"),
        ("afade", "t=in:d=0.9"),
        ("afade", f"t=out:st={max(0.0, duration_s - 1.2)}:d=1.2"),
    ]


def _voices(root: float, steps: tuple[int, ...], dice: random.Random, duration_s: int) -> str:
    """Five detuned sines that swell one after the other."""
    parts = []
    for number, step in enumerate(steps):
        pitch = root * 2 ** (step / 12) * (1 + dice.uniform(-0.0015, 0.0015))
        beat_s = max(4.0, duration_s * dice.uniform(0.6, 1.1))
        swell = f"(0.62+0.38*sin(2*PI*t/{beat_s:.3f}+{dice.uniform(0, 6.28):.3f}))"
        parts.append(f"{0.075 / (1 + 0.35 * number):.4f}*{swell}*sin(2*PI*{pitch:.4f}*t)")
    return "+".join(parts)
