"""Durations in buckets that grow by 5 %, so that percentiles are exact to within 5 %."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from math import floor, log

_GROWTH = 1.05
_MAX_S = 7 * 86_400


def duration_bucket(seconds: float) -> str:
    """The label of the bucket that contains a duration."""
    return str(floor(log(min(max(seconds, 1.0), _MAX_S)) / log(_GROWTH)))


def duration_percentile(counts: Mapping[str, float], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of the counted durations do not exceed; None if none is counted."""
    labels = sorted((label for label, count in counts.items() if count > 0), key=int)
    if not labels:
        return None
    cumulative = list(accumulate(counts[label] for label in labels))
    label = labels[bisect_left(cumulative, share * cumulative[-1])]
    # The middle of the bucket.
    return float(_GROWTH ** (int(label) + 0.5))
