"""Cost totals and the rows by model, user and label."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import rollups
from billing.models import Measure
from billing.pricing.margins import Margin
from billing.reports import breakdowns, cost_totals, date_ranges
from billing.reports.cost_totals import Sums
from tests.billing.reports.conftest import AT, count_job

pytestmark = pytest.mark.usefixtures("in_berlin")


@pytest.mark.django_db
@pytest.mark.parametrize("key", date_ranges.RANGE_NAMES)
def test_one_query_reads_totals_and_unfolded_marks(key: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    count_job()
    rollups.fold_marks()
    count_job(settled="52.5")
    count_job(model="veo3", settled=None)
    count_job(AT - timedelta(days=800))
    date_range = date_ranges.named_range(key, at=AT)
    with django_assert_num_queries(1):
        totals = cost_totals.read_totals(date_range, at=AT)
    sums = totals.all
    assert sums[Measure.ORDERED] == 3
    assert (sums.open, sums.cost, sums.variance) == (60, Decimal("172.5"), Decimal("-7.5"))
    assert sums.absolute_variance_share == pytest.approx(0.0625)
    assert (sums.ended, sums.success_share) == (2, 1.0)
    assert totals.count_labels(Measure.VERDICT) == {"callback": 3}
    assert totals.count_labels(Measure.VERDICT, "veo3") == {"callback": 1}
    assert sum(window_sums[Measure.ORDERED] for window_sums in totals.by_window.values()) == 3
    assert set(totals.by_window) <= {window.starts_at for window in date_range.windows}
    assert {start.hour: hour_sums.cost for start, hour_sums in totals.recent_hours.items()} == {12: Decimal("172.5")}


def test_empty_sums_are_zero_and_their_shares_none() -> None:
    sums = Sums()
    assert (sums[Measure.ACTUAL], sums.cost) == (0, 0)
    assert (sums.variance_share, sums.absolute_variance_share, sums.success_share) == (None, None, None)
    assert breakdowns.compute_margin_share(sums) is None
    with pytest.raises(KeyError):
        sums["no_measure"]


@pytest.mark.parametrize(("usd", "share"), [("0.01", 0.5), ("0.005", 0.0), ("0.004", -0.25), ("0", None)])
def test_the_margin_equals_that_of_the_price_list(settings: Settings, usd: str, share: float | None) -> None:
    settings.USD_PER_USER_CREDIT = Decimal(usd)
    sums = Sums(charged=Decimal(120), refunded=Decimal(60), estimated=Decimal(60), settled_estimate=Decimal(60))
    sums[Measure.ACTUAL] = Decimal(60)
    assert breakdowns.compute_margin_share(sums) == share
    listed = Margin(60, Decimal(60)).percent
    assert share == (None if listed is None else float(listed) / 100)
    # After a full refund nothing was paid, so there is no share.
    assert breakdowns.compute_margin_share(Sums(charged=Decimal(60), refunded=Decimal(60), actual=Decimal(60))) is None


@pytest.mark.django_db
def test_rows_are_sorted_by_cost(alice: User) -> None:
    count_job(user_id=alice.pk)
    count_job(user_id=alice.pk, model="veo3")
    count_job(user_id=alice.pk, model="veo3")
    count_job(user_id=999, settled=None)
    date_range = date_ranges.named_range("today", at=AT)
    rows = breakdowns.build_model_rows(cost_totals.read_totals(date_range, at=AT))
    assert [(row.model, row.sums.cost) for row in rows] == [("veo3", 120), ("veo3_fast", 120)]
    assert rows[0].margin == pytest.approx(1 / 6)
    assert rows[0].times.p50_s == pytest.approx(61.7, rel=0.05)
    user_rows = breakdowns.read_user_rows(date_range)
    assert [(row.user_id, row.email, row.sums[Measure.ESTIMATED]) for row in user_rows] == [
        (alice.pk, "alice@example.com", 180),
        (999, "", 60),
    ]


def test_label_rows_keep_the_given_order() -> None:
    rows = breakdowns.build_label_rows({"poll": 1, "odd": 3}, order=breakdowns.RESULT_SOURCES)
    assert [(row.label, row.count, row.share) for row in rows] == [
        ("callback", 0, 0.0),
        ("poll", 1, 0.25),
        ("repair", 0, 0.0),
        ("odd", 3, 0.75),
    ]
    assert breakdowns.build_label_rows({}, order=("callback",))[0].share == 0.0
