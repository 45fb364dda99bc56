"""I5, I6: checks of paid calls and spend."""

import pytest
from django.db import connection

from accounts.models import User
from accounts.seams import clock
from billing.models import PaidCall, Spend
from tests.billing import history
from tests.billing.audit.breakage import charge_of, find_references, media

__all__ = ["media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


@pytest.mark.postgres
def test_i5_two_paid_calls_for_one_video(alice: User) -> None:
    task = history.make_generating(alice)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX paid_call_one_live_per_spend")
    call = PaidCall.objects.get()
    PaidCall.objects.create(spend=call.spend, account=call.account, started_at=call.started_at, outcome="unconfirmed")
    assert find_references() == {("I5", f"job:{task.pk}")}


def test_i5_a_video_at_the_provider_without_a_paid_call(alice: User) -> None:
    task = history.make_generating(alice)
    PaidCall.objects.update(outcome="unconfirmed")
    assert find_references() == {("I5", task.reference)}


def test_i6_a_promise_without_its_call(alice: User) -> None:
    task = history.make_submitting(alice)
    PaidCall.objects.update(outcome="not_sent", answered_at=clock.now())
    assert find_references() == {("I6", f"job:{task.pk}")}


def test_i6_spend_in_another_state_than_its_video(alice: User) -> None:
    task = history.make_ready(alice)
    Spend.objects.update(state="promised", actual=None, settled_at=None)
    assert find_references() == {("I6", task.reference)}


def test_i6_a_video_without_spend(alice: User) -> None:
    task = history.make_cancelled(alice)
    Spend.objects.all().delete()
    assert {("I6", task.reference), ("I22", f"ledger entry {charge_of(task).pk}")} == find_references()
