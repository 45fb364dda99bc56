"""Each run of the checks is stored, and operators see the newest."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.template.loader import render_to_string
from django.utils.module_loading import autodiscover_modules

from accounts.models import User
from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.models import Alert, BooksRun, CreditAccount
from tests.clocks import ManualClock
from tests.people import give_credits
from videos.models import JobRequest
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered_checks() -> None:
    """All checks must be registered before a test replaces them, whichever test runs first."""
    autodiscover_modules("audit.checks")


def render_badge() -> str:
    return " ".join(render_to_string("admin/_books_badge.html", {"books": audit_runner.get_last_run()}).split())


def test_the_badge_shows_that_there_was_no_check_yet() -> None:
    assert audit_runner.get_last_run() is None
    assert "not checked yet" in render_badge()


def test_a_run_is_stored_with_its_problems(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    (problem,) = audit_runner.run_audit().problems
    run = audit_runner.get_last_run()
    assert run is not None
    assert (run.problems, run.is_deep, run.tone) == (1, False, "bad")
    assert run.first_problems == [{"invariant": "I1", "reference": problem.reference, "text": problem.text}]
    assert run.took_s >= 0
    assert "1 problem in the books" in render_badge()
    assert problem.text in render_badge()
    assert Alert.objects.get(kind="books").resolved_at is None


def test_the_newest_run_is_shown_and_resolves_the_alert(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    audit_runner.run_audit()
    CreditAccount.objects.update(balance=10)
    assert audit_runner.run_audit(deep=True).problems == []
    run = audit_runner.get_last_run()
    assert run is not None
    assert (run.problems, run.is_deep, run.tone) == (0, True, "good")
    assert "Books balance" in render_badge()
    assert Alert.objects.get(kind="books").resolved_at is not None


def test_an_overdue_run_is_shown_as_outdated() -> None:
    BooksRun.objects.create(at=clock.now() - timedelta(minutes=46), took_s=0.1, problems=0)
    run = audit_runner.get_last_run()
    assert run is not None
    assert (run.is_late, run.tone) == (True, "warn")
    assert "balanced when last checked" in render_badge()


def test_runs_are_deleted_after_thirty_days() -> None:
    at = clock.now()
    old = BooksRun.objects.create(at=at - timedelta(days=30, minutes=1), took_s=0.1, problems=0)
    recent = BooksRun.objects.create(at=at - timedelta(days=29), took_s=0.1, problems=0)
    audit_runner.run_audit()
    assert not BooksRun.objects.filter(pk=old.pk).exists()
    assert BooksRun.objects.filter(pk=recent.pk).exists()


def test_the_command_stores_a_run_too() -> None:
    call_command("check_books", "--deep", stdout=StringIO())
    run = audit_runner.get_last_run()
    assert run is not None
    assert run.is_deep


def test_the_books_are_checked_every_15_minutes_by_a_separate_job() -> None:
    assert "books" in sweep.enqueue_due()
    worker_tasks.books()
    assert BooksRun.objects.count() == 1
    assert "books" not in sweep.enqueue_due()
    at = clock.database_now() - timedelta(minutes=15, seconds=1)
    JobRequest.objects.filter(name="books").update(requested_at=at, started_at=at)
    assert "books" in sweep.enqueue_due()


def open_alert_kinds(*kinds: str) -> set[str]:
    return set(Alert.objects.filter(kind__in=kinds, resolved_at=None).values_list("kind", flat=True))


def test_many_problems_of_one_invariant_do_not_hide_another(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [audit_runner.Problem("I1", f"credit account {number:03}", "odd") for number in range(400)]
    few = [audit_runner.Problem("I3", "video:1", "no refund"), audit_runner.Problem("I7", "video:2", "is not there")]
    monkeypatch.setattr(audit_runner, "_checks", {"one": lambda *, deep: [*many, *few]})
    result = audit_runner.run_audit()
    assert result == (sorted([*many, *few]), [])
    run = audit_runner.get_last_run()
    assert run is not None
    assert (run.problems, run.counts) == (402, {"I1": 400, "I3": 1, "I7": 1})
    assert [run.count_of(name) for name in ("I1", "I3", "I5", "I7")] == [400, 1, 0, 1]
    assert [problem["invariant"] for problem in run.first_problems] == ["I1"] * 48 + ["I3", "I7"]
    detail = Alert.objects.get(kind="books").detail
    assert "I3 video:1: no refund" in detail
    assert "I7 video:2: is not there" in detail


def test_a_run_without_counts_counts_its_stored_problems() -> None:
    first = [{"invariant": "I3", "reference": f"video:{number}", "text": "no refund"} for number in range(2)]
    run = BooksRun.objects.create(took_s=1, problems=2, first_problems=first)
    assert (run.counts, run.count_of("I3"), run.count_of("I7")) == ({}, 2, 0)


def test_a_check_is_replaced_in_frequent_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_runner, "_checks", {})
    monkeypatch.setattr(audit_runner, "_frequent_checks", {})

    def check_all(*, deep: bool) -> list[audit_runner.Problem | audit_runner.Coverage]:
        return [audit_runner.Coverage("shelves", 9, 9), audit_runner.Problem("I99", "shelf 9", "is bent")]

    def check_part(*, deep: bool) -> list[audit_runner.Problem | audit_runner.Coverage]:
        return [audit_runner.Coverage("shelves", 3, 9)]

    audit_runner.register_check(check_all, frequent=check_part)
    assert audit_runner.run_audit(frequent=True) == ([], [audit_runner.Coverage("shelves", 3, 9)])
    for result in (audit_runner.run_audit(), audit_runner.run_audit(deep=True, frequent=True)):
        assert result == ([audit_runner.Problem("I99", "shelf 9", "is bent")], [audit_runner.Coverage("shelves", 9, 9)])
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_books", stdout=out)
    assert out.getvalue().splitlines() == ["I99 shelf 9: is bent", "shelves: 9 of 9 checked", "1 problems"]


def test_overdue_checks_raise_an_alert_that_the_next_run_resolves(manual_clock: ManualClock) -> None:
    audit_runner.run_audit()
    manual_clock.sleep(46 * 60)
    for _ in range(3):
        sweep.tidy()
        manual_clock.sleep(6 * 60)
    assert open_alert_kinds("books", "books_late") == {"books_late"}
    alert = Alert.objects.get(kind="books_late")
    assert (alert.severity, alert.count) == (Alert.Severity.WARNING, 2)
    assert alert.detail.endswith("check finished at 2026-09-01 12:00 UTC.")
    audit_runner.run_audit(frequent=True)
    assert open_alert_kinds("books", "books_late") == set()
    manual_clock.sleep(301)
    sweep.tidy()
    assert open_alert_kinds("books_late") == set()


def test_a_worker_that_was_down_for_hours_checks_before_it_alerts(manual_clock: ManualClock) -> None:
    audit_runner.run_audit()
    manual_clock.sleep(10 * 3600)
    sweep.tidy()
    audit_runner.run_audit(frequent=True)
    manual_clock.sleep(301)
    sweep.tidy()
    manual_clock.sleep(301)
    sweep.tidy()
    assert not Alert.objects.filter(kind="books_late").exists()


def test_books_with_entries_that_were_never_checked_are_late(manual_clock: ManualClock, alice: User) -> None:
    assert not audit_runner.is_late(manual_clock.at)
    give_credits(alice, 10)
    assert not audit_runner.is_late(manual_clock.at)
    manual_clock.sleep(46 * 60)
    assert audit_runner.is_late(manual_clock.at)
    audit_runner.raise_late_alert()
    assert Alert.objects.get(kind="books_late").detail == "No check has ever finished."


def test_the_late_alert_is_resolved_only_when_a_run_finishes(manual_clock: ManualClock) -> None:
    audit_runner.raise_late_alert()
    assert audit_runner.find_problems() == []
    assert open_alert_kinds("books_late") == {"books_late"}
    audit_runner.run_audit()
    assert open_alert_kinds("books_late") == set()
