"""Each look at the books is written down, and what operators are shown of the newest one."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.template.loader import render_to_string

from accounts.doors import clock
from accounts.models import User
from billing import books
from billing.models import Alert, BooksRun, CreditAccount
from tests.people import give_credits
from videos import sweep, tasks
from videos.models import Doorbell

pytestmark = pytest.mark.django_db


def badge() -> str:
    return " ".join(render_to_string("admin/_books_badge.html", {"books": books.last_run()}).split())


def test_before_the_first_look_the_badge_says_so() -> None:
    assert books.last_run() is None
    assert "not looked at yet" in badge()


def test_a_look_is_written_down_with_what_it_found(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    (problem,) = books.look().problems
    run = books.last_run()
    assert run is not None
    assert (run.problems, run.is_deep, run.tone) == (1, False, "bad")
    assert run.first_problems == [{"invariant": "I1", "reference": problem.reference, "text": problem.text}]
    assert run.took_s >= 0
    assert "1 problem in the books" in badge()
    assert problem.text in badge()
    assert Alert.objects.get(kind="books").resolved_at is None


def test_the_newest_look_counts_and_ends_the_alert(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    books.look()
    CreditAccount.objects.update(balance=10)
    assert books.look(deep=True).problems == []
    run = books.last_run()
    assert run is not None
    assert (run.problems, run.is_deep, run.tone) == (0, True, "good")
    assert "Books balance" in badge()
    assert Alert.objects.get(kind="books").resolved_at is not None


def test_a_look_of_long_ago_says_little_about_now() -> None:
    BooksRun.objects.create(at=clock.now() - timedelta(minutes=46), took_s=0.1, problems=0)
    run = books.last_run()
    assert run is not None
    assert (run.is_late, run.tone) == (True, "warn")
    assert "balanced when last looked at" in badge()


def test_looks_are_forgotten_after_thirty_days() -> None:
    at = clock.now()
    old = BooksRun.objects.create(at=at - timedelta(days=30, minutes=1), took_s=0.1, problems=0)
    kept = BooksRun.objects.create(at=at - timedelta(days=29), took_s=0.1, problems=0)
    books.look()
    assert not BooksRun.objects.filter(pk=old.pk).exists()
    assert BooksRun.objects.filter(pk=kept.pk).exists()


def test_the_command_s_look_counts_too() -> None:
    call_command("check_books", "--deep", stdout=StringIO())
    run = books.last_run()
    assert run is not None
    assert run.is_deep


def test_the_books_are_looked_at_every_15_minutes_by_a_bell_of_their_own() -> None:
    assert "books" in sweep.ring_due()
    tasks.books()
    assert BooksRun.objects.count() == 1
    assert "books" not in sweep.ring_due()
    at = clock.database_now() - timedelta(minutes=15, seconds=1)
    Doorbell.objects.filter(name="books").update(rung_at=at, answered_at=at)
    assert "books" in sweep.ring_due()
