"""How long each model typically takes, measured on our own videos."""

from dataclasses import dataclass

from django.core.cache import cache

from videos.models import VideoTask
from videos.ordering.catalogue import CATALOGUE

_SAMPLE_SIZE = 50
_MIN_SAMPLES = 5
_CACHE_KEY = "videos.typical_times"
_CACHE_S = 30


@dataclass(frozen=True)
class TypicalTime:
    """Median and 90th percentile in seconds; `is_measured` is False while they come from the catalogue."""

    p50_s: float
    p90_s: float
    is_measured: bool


def typical_times() -> dict[str, TypicalTime]:
    """The typical time by model name, measured on the last 50 videos of each model; cached for 30 seconds."""
    times: dict[str, TypicalTime] | None = cache.get(_CACHE_KEY)
    if times is None:
        times = {model.name: _measure(model.name, model.typical_s) for model in CATALOGUE}
        cache.set(_CACHE_KEY, times, _CACHE_S)
    return times


def typical_time(model: str) -> TypicalTime:
    """The typical time of one model. For a model that is not in the catalogue, the time of the first one there."""
    times = typical_times()
    return times.get(model) or next(iter(times.values()))


def _measure(model: str, default_s: int) -> TypicalTime:
    rows = VideoTask.objects.filter(model=model, status=VideoTask.Status.READY, submitted_at__isnull=False)
    rows = rows.exclude(provider_done_at=None)
    times = sorted(
        (done_at - sent_at).total_seconds()
        for done_at, sent_at in rows.order_by("-provider_done_at").values_list("provider_done_at", "submitted_at")[
            :_SAMPLE_SIZE
        ]
        if done_at and sent_at
    )
    if len(times) < _MIN_SAMPLES:
        return TypicalTime(default_s, default_s * 2.5, is_measured=False)
    return TypicalTime(times[len(times) // 2], times[min(len(times) - 1, len(times) * 9 // 10)], is_measured=True)
