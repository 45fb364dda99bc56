"""How long a model usually takes, by our own history."""

from dataclasses import dataclass

from django.core.cache import cache

from videos.models import VideoTask
from videos.ordering.catalogue import CATALOGUE

_SAMPLE_SIZE = 50
_MIN_SAMPLES = 5
_CACHE_KEY = "videos.usual_times"
_CACHE_S = 30


@dataclass(frozen=True)
class TypicalTime:
    """Half are done within `p50_s`, nine of ten within `p90_s`; `measured` is False while it is the catalogue's guess."""

    p50_s: float
    p90_s: float
    measured: bool


def typical_times() -> dict[str, TypicalTime]:
    """By model name, from the last 50 videos of each; remembered for half a minute."""
    known: dict[str, TypicalTime] | None = cache.get(_CACHE_KEY)
    if known is None:
        known = {model.name: _measure(model.name, model.usual_s) for model in CATALOGUE}
        cache.set(_CACHE_KEY, known, _CACHE_S)
    return known


def typical_time(model: str) -> TypicalTime:
    """Of one model; an unknown one is taken to be like the first."""
    times = typical_times()
    return times.get(model) or next(iter(times.values()))


def _measure(model: str, guess_s: int) -> TypicalTime:
    rows = VideoTask.objects.filter(model=model, status=VideoTask.Status.READY, submitted_at__isnull=False)
    rows = rows.exclude(provider_done_at=None)
    times = sorted(
        (done - sent).total_seconds()
        for done, sent in rows.order_by("-provider_done_at").values_list("provider_done_at", "submitted_at")[
            :_SAMPLE_SIZE
        ]
        if done and sent
    )
    if len(times) < _MIN_SAMPLES:
        return TypicalTime(guess_s, guess_s * 2.5, measured=False)
    return TypicalTime(times[len(times) // 2], times[min(len(times) - 1, len(times) * 9 // 10)], measured=True)
