"""Sums are exact at any time, whether marks are folded (added to the totals) or not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.costs import rollups
from billing.models import Measure, Period, TallyMark, Total

AT = datetime(2026, 3, 4, 10, 20, tzinfo=UTC)
DAY = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _utc(settings: object) -> None:
    settings.TIME_ZONE = "UTC"  # type: ignore[attr-defined]


def record_job(*, at: datetime = AT, model: str = "veo3_fast", user_id: int = 1, credits: str = "60") -> None:
    rollups.record_counts(
        ordered_at=at,
        model=model,
        user_id=user_id,
        counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(credits))],
        labelled=[(Measure.FAILURE, "moderation", 1)],
    )


def read_sums_of_day(period: Period) -> dict[tuple[str, str, str], Decimal]:
    rows = rollups.read_totals(period, since=DAY, until=DAY + timedelta(days=1))
    return {(row.model, row.measure, row.label): row.amount for row in rows}


@pytest.mark.django_db
def test_a_sum_is_the_same_before_during_and_after_folding() -> None:
    record_job()
    record_job(credits="37.5")
    before = read_sums_of_day(Period.DAY)
    assert before["veo3_fast", "ordered", ""] == 2
    assert before["veo3_fast", "estimated", ""] == Decimal("97.5")
    assert rollups.fold_marks() == 6
    assert not TallyMark.objects.exists()
    assert read_sums_of_day(Period.DAY) == before
    record_job(credits="2.5")
    assert read_sums_of_day(Period.DAY)["veo3_fast", "estimated", ""] == Decimal(100)
    rollups.fold_marks()
    assert read_sums_of_day(Period.DAY)["veo3_fast", "estimated", ""] == Decimal(100)


@pytest.mark.django_db
def test_labels_are_kept_by_day_and_not_by_hour() -> None:
    record_job()
    rollups.fold_marks()
    assert ("veo3_fast", "failure", "moderation") not in read_sums_of_day(Period.HOUR)
    assert read_sums_of_day(Period.DAY)["veo3_fast", "failure", "moderation"] == 1
    assert not Total.objects.filter(period=Period.HOUR, user_id__gt=0).exists()


@pytest.mark.django_db
def test_users_are_ranked_by_folded_and_unfolded_sums() -> None:
    record_job(user_id=1, credits="60")
    record_job(user_id=2, credits="250")
    rollups.fold_marks()
    record_job(user_id=1, credits="200", model="veo3")
    ranking = rollups.rank_users(Period.DAY, since=DAY, until=DAY + timedelta(days=1), by=Measure.ESTIMATED, limit=2)
    assert [(row.user_id, row.amounts["estimated"]) for row in ranking] == [(1, Decimal(260)), (2, Decimal(250))]
    assert ranking[0].amounts["ordered"] == 2


@pytest.mark.django_db
def test_folding_stops_at_the_limit() -> None:
    record_job()
    assert TallyMark.objects.exists()
    assert rollups.fold_marks(limit=0) == 0
    assert rollups.fold_marks() == 3
    assert not TallyMark.objects.exists()
    assert rollups.fold_marks() == 0


@pytest.mark.django_db
def test_counts_of_zero_leave_no_mark() -> None:
    rollups.record_counts(
        ordered_at=AT, model="veo3", user_id=1, counts=[(Measure.ACTUAL, 0)], labelled=[(Measure.WAIT, "3", 0)]
    )
    assert not TallyMark.objects.exists()


@pytest.mark.django_db
def test_sums_include_unfolded_marks_and_totals_can_be_overwritten() -> None:
    record_job()
    rollups.fold_marks()
    record_job(user_id=2, credits="40")
    tomorrow = DAY + timedelta(days=1)
    sums = rollups.read_sums(Period.HOUR, Period.DAY, since=DAY, until=tomorrow)
    assert sums["day", DAY, 0, "veo3_fast", "estimated", ""] == 100
    assert sums["day", DAY, 2, "", "estimated", ""] == 40
    assert sums["hour", AT.replace(minute=0), 0, "veo3_fast", "ordered", ""] == 2
    assert not any(key[0] == "month" for key in sums)
    rollups.set_totals(
        {("day", DAY, 0, "veo3_fast", Measure.ORDERED, ""): Decimal(7), ("day", DAY, 9, "", "ready", ""): Decimal(1)}
    )
    sums = rollups.read_sums(Period.DAY, since=DAY, until=tomorrow)
    assert sums["day", DAY, 0, "veo3_fast", "ordered", ""] == 8, "the unfolded mark is added"
    assert sums["day", DAY, 9, "", "ready", ""] == 1


@pytest.mark.django_db
def test_sums_are_read_for_the_given_measures() -> None:
    record_job()
    rows = rollups.read_totals(Period.DAY, since=DAY, until=DAY + timedelta(days=1), measures=[Measure.ORDERED])
    assert [(row.measure, row.amount) for row in rows] == [("ordered", 1)]


@pytest.mark.django_db
def test_rows_have_readable_names() -> None:
    record_job(credits="37.5")
    assert str(TallyMark.objects.get(measure=Measure.ESTIMATED)) == "estimated +37.5000"
    rollups.fold_marks()
    total = Total.objects.get(period=Period.DAY, measure=Measure.ESTIMATED, user_id=0)
    assert str(total) == "day 2026-03-04 00:00 veo3_fast estimated: 37.5000"
