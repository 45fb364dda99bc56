"""Totals that were counted event by event equal a recount of all rows."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.common.periods import window_at
from billing.costs import rollups
from billing.models import Measure, Period, Spend, TallyMark, Total
from tests.people import make_person
from tests.videos.random_videos import STARTS_AT, JumpingClock, RandomVideos, lift_limits
from videos.audit import recount
from videos.models import VideoTask

SINCE, UNTIL = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_limits(settings: Settings) -> None:
    settings.CHARGED_WHEN_FAILED = False
    lift_limits(settings)


def run_random_videos(*, seed: int, steps: int, folding: bool = True, users: int = 3) -> None:
    owners = [make_person(f"life{n}@example.com") for n in range(users)]
    videos = RandomVideos(owners, seed)
    jumping_clock = JumpingClock()
    with clock.replaced(jumping_clock):
        for n in range(steps):
            videos.step(jumping_clock)
            if folding and n % 37 == 36:
                recount.fold()


def list_differences() -> list[str]:
    return [str(difference) for difference in recount.find_differences(SINCE, UNTIL)]


def sum_totals() -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rollups.read_totals(Period.MONTH, since=SINCE, until=UNTIL):
        sums[row.measure, row.label] = sums.get((row.measure, row.label), Decimal(0)) + row.amount
    return sums


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_totals_counted_by_event_equal_a_full_recount(seed: int) -> None:
    run_random_videos(seed=seed, steps=500)
    assert TallyMark.objects.exists(), "some marks are folded, some are not"
    assert Total.objects.exists()
    assert list_differences() == []
    recount.fold()
    assert list_differences() == []
    # The sample covers every case, and simple counts agree.
    totals = sum_totals()
    assert totals["ordered", ""] == VideoTask.objects.count() > 50
    for status in ("ready", "failed", "cancelled"):
        assert totals[status, ""] == VideoTask.objects.filter(status=status).count() > 0
    for settled_by in ("callback", "poll", "repair"):
        assert totals["verdict", settled_by] == VideoTask.objects.filter(settled_by=settled_by).count() > 0
    settled = Spend.objects.filter(state="settled")
    assert totals["actual", ""] == sum(spend.actual or 0 for spend in settled) > 0
    assert totals["settled_estimate", ""] == sum(spend.estimated for spend in settled)
    assert totals["estimated", ""] == sum(spend.estimated for spend in Spend.objects.all())
    assert window_at(Period.DAY, VideoTask.objects.latest("created_at").created_at).starts_at > STARTS_AT + timedelta(
        days=5
    )


@pytest.mark.django_db
def test_a_site_without_totals_is_recounted_before_its_first_fold() -> None:
    run_random_videos(seed=4, steps=120, folding=False)
    before = sum_totals()
    TallyMark.objects.all().delete()
    assert any(rows.exists() for rows in recount.uncounted_rows())
    recount.fold()
    assert sum_totals() == before
    assert list_differences() == []
    assert not recount.list_missing_months()
    assert not any(rows.exists() for rows in recount.uncounted_rows())


@pytest.mark.django_db
def test_a_month_with_pending_marks_is_recounted() -> None:
    run_random_videos(seed=5, steps=120, folding=False)
    # The older half was ordered before the site stored totals.
    TallyMark.objects.filter(pk__lte=TallyMark.objects.order_by("pk")[TallyMark.objects.count() // 2].pk).delete()
    assert list_differences()
    recount.fold()
    assert list_differences() == []


@pytest.mark.django_db
def test_wrong_totals_are_found_and_repaired() -> None:
    run_random_videos(seed=6, steps=100)
    recount.fold()
    ready = Total.objects.filter(measure=Measure.READY, period=Period.DAY, user_id=0).earliest("starts_at")
    Total.objects.filter(pk=ready.pk).update(amount=ready.amount + 1)
    (difference,) = list_differences()
    assert difference == (
        f"day {ready.starts_at:%Y-%m-%d %H:%M} {ready.model}, ready: {ready.amount + 1} stored, {ready.amount} counted"
    )
    Total.objects.filter(measure=Measure.ESTIMATED, user_id__gt=0).delete()
    assert any("user" in difference for difference in list_differences())
    assert sum(recount.repair(month) for month in recount.list_months()) > 1
    assert list_differences() == []


@pytest.mark.django_db
def test_the_consistency_check_reports_wrong_totals() -> None:
    jumping_clock = JumpingClock()
    with clock.replaced(jumping_clock):
        users = [make_person("life@example.com")]
        videos = RandomVideos(users, 7)
        for _ in range(60):
            videos.step(jumping_clock)
        recount.fold()
        assert [problem for problem in audit_runner.find_problems() if problem.invariant == "I23"] == []
        Total.objects.filter(measure=Measure.ORDERED, period=Period.HOUR).update(amount=99)
        problems = [problem for problem in audit_runner.find_problems() if problem.invariant == "I23"]
        assert problems
        assert "99.0000 stored" in problems[0].text
        # Only the deep check covers what is older than two days.
        jumping_clock.at += timedelta(days=3)
        assert [problem for problem in audit_runner.find_problems() if problem.invariant == "I23"] == []
        assert [problem for problem in audit_runner.find_problems(deep=True) if problem.invariant == "I23"]


@pytest.mark.django_db
def test_the_command_checks_and_repairs() -> None:
    run_random_videos(seed=8, steps=60)
    recount.fold()
    out = StringIO()
    call_command("recount_totals", "--check", stdout=out)
    assert "All totals match the rows." in out.getvalue()
    Total.objects.filter(measure=Measure.CHARGED, user_id=0).update(amount=1)
    with pytest.raises(CommandError, match="differ"):
        call_command("recount_totals", "--check", stdout=(out := StringIO()))
    assert "charged: 1.0000 stored" in out.getvalue()
    call_command("recount_totals", "--repair", stdout=(out := StringIO()))
    assert "corrected" in out.getvalue()
    assert list_differences() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_processes_count_everything(process_environment: dict[str, str]) -> None:
    for n in range(4):
        make_person(f"life{n}@example.com")
    connection.close()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.videos.random_videos", str(seed), "25"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=process_environment,
        )
        for seed in range(8)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    # A concurrent repair must not change the result.
    for month in recount.list_months():
        recount.repair(month)
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    ordered = [int(output) for output in outputs]
    assert sum(ordered) == Spend.objects.count() > 25
    assert list_differences() == []
    recount.fold()
    assert not TallyMark.objects.exists()
    assert list_differences() == []
