"""Totals counted step by step equal a recount of all rows."""

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


def run_lives(*, seed: int, steps: int, folding: bool = True, people: int = 3) -> None:
    users = [make_person(f"life{n}@example.com") for n in range(people)]
    lives = RandomVideos(users, seed)
    moved = JumpingClock()
    with clock.replaced(moved):
        for n in range(steps):
            lives.step(moved)
            if folding and n % 37 == 36:
                recount.fold()


def differences() -> list[str]:
    return [str(one) for one in recount.find_differences(SINCE, UNTIL)]


def sums() -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for row in rollups.read_totals(Period.MONTH, since=SINCE, until=UNTIL):
        found[row.measure, row.label] = found.get((row.measure, row.label), Decimal(0)) + row.amount
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_totals_counted_step_by_step_equal_a_full_recount(seed: int) -> None:
    run_lives(seed=seed, steps=500)
    assert TallyMark.objects.exists(), "some marks are folded, some are not"
    assert Total.objects.exists()
    assert differences() == []
    recount.fold()
    assert differences() == []
    # The sample covers every case, and simple counts agree.
    by = sums()
    assert by["ordered", ""] == VideoTask.objects.count() > 50
    for status in ("ready", "failed", "cancelled"):
        assert by[status, ""] == VideoTask.objects.filter(status=status).count() > 0
    for way in ("callback", "poll", "repair"):
        assert by["verdict", way] == VideoTask.objects.filter(settled_by=way).count() > 0
    settled = Spend.objects.filter(state="settled")
    assert by["actual", ""] == sum(one.actual or 0 for one in settled) > 0
    assert by["settled_estimate", ""] == sum(one.estimated for one in settled)
    assert by["estimated", ""] == sum(one.estimated for one in Spend.objects.all())
    assert window_at(Period.DAY, VideoTask.objects.latest("created_at").created_at).starts_at > STARTS_AT + timedelta(
        days=5
    )


@pytest.mark.django_db
def test_a_site_without_totals_is_recounted_before_its_first_fold() -> None:
    run_lives(seed=4, steps=120, folding=False)
    before = sums()
    TallyMark.objects.all().delete()
    assert any(rows.exists() for rows in recount.uncounted_rows())
    recount.fold()
    assert sums() == before
    assert differences() == []
    assert not recount.list_missing_months()
    assert not any(rows.exists() for rows in recount.uncounted_rows())


@pytest.mark.django_db
def test_a_month_is_recounted_while_its_newest_marks_wait() -> None:
    run_lives(seed=5, steps=120, folding=False)
    # The older half was ordered before the site stored totals.
    TallyMark.objects.filter(pk__lte=TallyMark.objects.order_by("pk")[TallyMark.objects.count() // 2].pk).delete()
    assert differences()
    recount.fold()
    assert differences() == []


@pytest.mark.django_db
def test_wrong_totals_are_found_and_repaired() -> None:
    run_lives(seed=6, steps=100)
    recount.fold()
    ready = Total.objects.filter(measure=Measure.READY, period=Period.DAY, user_id=0).earliest("starts_at")
    Total.objects.filter(pk=ready.pk).update(amount=ready.amount + 1)
    (found,) = differences()
    assert found == (
        f"day {ready.starts_at:%Y-%m-%d %H:%M} {ready.model}, ready: {ready.amount + 1} stored, {ready.amount} counted"
    )
    Total.objects.filter(measure=Measure.ESTIMATED, user_id__gt=0).delete()
    assert any("user" in one for one in differences())
    assert sum(recount.repair(month) for month in recount.list_months()) > 1
    assert differences() == []


@pytest.mark.django_db
def test_the_consistency_check_reports_wrong_totals() -> None:
    moved = JumpingClock()
    with clock.replaced(moved):
        users = [make_person("life@example.com")]
        lives = RandomVideos(users, 7)
        for _ in range(60):
            lives.step(moved)
        recount.fold()
        assert [one for one in audit_runner.find_problems() if one.invariant == "I23"] == []
        Total.objects.filter(measure=Measure.ORDERED, period=Period.HOUR).update(amount=99)
        wrong = [one for one in audit_runner.find_problems() if one.invariant == "I23"]
        assert wrong
        assert "99.0000 stored" in wrong[0].text
        # Only the deep check covers what is older than two days.
        moved.at += timedelta(days=3)
        assert [one for one in audit_runner.find_problems() if one.invariant == "I23"] == []
        assert [one for one in audit_runner.find_problems(deep=True) if one.invariant == "I23"]


@pytest.mark.django_db
def test_the_command_checks_and_repairs() -> None:
    run_lives(seed=8, steps=60)
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
    assert differences() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_processes_that_order_end_and_fold_at_once_count_everything(process_environment: dict[str, str]) -> None:
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
    # A concurrent repair disturbs nothing.
    for month in recount.list_months():
        recount.repair(month)
    answers = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    account = [int(answer) for answer in answers]
    assert sum(account) == Spend.objects.count() > 25
    assert differences() == []
    recount.fold()
    assert not TallyMark.objects.exists()
    assert differences() == []
