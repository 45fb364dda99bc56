"""Duration buckets give percentiles within five percent."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.costs.histogram import duration_bucket, duration_percentile

DAY_S = 86_400


@given(st.lists(st.floats(1, 7 * DAY_S), min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_within_five_percent_of_a_counted_duration(durations: list[float], share: float) -> None:
    percentile = duration_percentile(Counter(map(duration_bucket, durations)), share)
    assert percentile is not None
    exact = sorted(durations)[max(ceil(share * len(durations)) - 1, 0)]
    assert any(duration / 1.05 <= percentile <= duration * 1.05 for duration in durations)
    assert exact / 1.05 <= percentile <= exact * 1.05


def test_an_empty_histogram_has_no_percentile() -> None:
    assert duration_percentile({}, 0.5) is None
    assert duration_percentile({"40": 0, "50": -1}, 0.5) is None


def test_a_bucket_with_a_sum_of_zero_is_ignored() -> None:
    counts = {duration_bucket(10): 5, duration_bucket(1000): -3}
    assert duration_percentile(counts, 1) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(("seconds", "counted_as"), [(-5, 1), (0, 1), (0.2, 1), (30 * DAY_S, 7 * DAY_S)])
def test_no_duration_is_shorter_than_a_second_or_longer_than_a_week(seconds: float, counted_as: float) -> None:
    assert duration_bucket(seconds) == duration_bucket(counted_as)
