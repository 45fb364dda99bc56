"""Durations in buckets that grow by a twentieth, so that a percentile read from them is right within 5 %."""

from collections.abc import Mapping
from math import floor, log

_GROWTH = 1.05
_MOST_S = 7 * 86_400


def bucket(seconds: float) -> str:
    """The label of the bucket that a duration falls into."""
    return str(floor(log(min(max(seconds, 1.0), _MOST_S)) / log(_GROWTH)))


def percentile(counts: Mapping[str, float], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of the counted ones stay under; None when nothing is counted."""
    total = sum(count for count in counts.values() if count > 0)
    if total <= 0:
        return None
    passed = 0.0
    for label in sorted(counts, key=int):
        passed += counts[label]
        if passed >= share * total:
            break
    # The middle of the bucket.
    return float(_GROWTH ** (int(label) + 0.5))
