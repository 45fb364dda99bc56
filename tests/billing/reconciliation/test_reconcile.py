"""Our spend against the provider's balance: what is explained, what is not, and how a person answers it."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.credits import ledger
from billing.models import Alert, BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.provider import accounts as provider_accounts
from billing.reconciliation import reconcile, top_ups
from billing.reconciliation.reconcile import Reconciliation
from tests.billing.conftest import SetClock, unguarded
from tests.billing.purse import Purse
from tests.jobs import job_id
from tests.people import give_credits
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db
KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


@pytest.fixture
def purse(still: SetClock, alice: User, settings: Settings) -> Purse:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return Purse(still, alice)


def seen(purse: Purse, since: datetime | None = None) -> Reconciliation:
    found = reconcile.reconcile(
        account=purse.account, since=since or purse.still.at - timedelta(days=1), until=purse.still.at
    )
    assert found is not None
    return found


def entries() -> list[tuple[str, Decimal]]:
    return list(ProviderEntry.objects.order_by("id").values_list("kind", "amount"))


def the_alert() -> Alert:
    return Alert.objects.get(kind="unexplained_spend")


def correct(purse: Purse, amount: object, *, actor: User, key: str = KEY, reason: str = "Tried in the playground"):  # type: ignore[no-untyped-def]
    found = seen(purse)
    return reconcile.record_correction(
        account_id=purse.account.pk,
        amount=Decimal(str(amount)),
        reason=reason,
        actor=actor,
        idempotency_key=key,
        happened_at=found.answered_at,
        snapshot_id=found.closing.pk,
    )


# What is explained


def test_with_less_than_two_readings_there_is_nothing_to_compare(purse: Purse) -> None:
    assert reconcile.reconcile(account=purse.account, since=purse.still.at, until=purse.still.at) is None
    purse.read()
    assert reconcile.reconcile(account=purse.account, since=purse.still.at, until=purse.still.at) is None
    assert reconcile.update_unexplained(purse.account) is None
    assert top_ups.record_rises(purse.account) == []


def test_what_videos_cost_explains_the_balance(purse: Purse) -> None:
    purse.read()
    for _ in range(3):
        purse.job()
    purse.job(actual=0, basis="not_spent", charged=-60)
    purse.read()
    found = seen(purse)
    assert (found.opening.balance, found.closing.balance) == (5000, 4820)
    assert (found.settled.count, found.settled.estimated, found.settled.actual) == (4, 240, 180)
    assert (found.unexplained, found.in_flight, found.jumps) == (0, 0, ())
    assert found.is_explained
    assert not found.is_gone
    assert found.worst is None
    assert found.answered_at == found.closing.taken_at


def test_a_video_under_way_may_be_charged_already_or_not(purse: Purse) -> None:
    purse.read()
    at_once, later = purse.send(), purse.send(charged=0)
    purse.read()
    found = seen(purse)
    assert (found.open.count, found.open.estimated, found.in_flight) == (2, 120, -60)
    assert (found.in_flight_least, found.in_flight_most) == (-120, 0)
    assert found.unexplained == 0
    purse.end(at_once)
    purse.end(later, charged=60)
    purse.read()
    found = seen(purse)
    assert (found.open.count, found.in_flight, found.settled.actual, found.unexplained) == (0, 0, 120, 0)


def test_a_cost_learned_a_moment_ago_may_not_show_in_the_balance_yet(purse: Purse) -> None:
    purse.read()
    job = purse.send(charged=0)
    purse.end(job)
    purse.read(seconds=30)
    found = seen(purse)
    assert (found.unexplained, found.settled.count, found.open.count) == (0, 0, 1)
    purse.balance -= 60
    purse.read()
    assert (seen(purse).unexplained, seen(purse).settled.count) == (0, 1)


def test_a_video_given_up_without_a_verdict_may_have_been_charged(purse: Purse) -> None:
    purse.read()
    purse.job(actual=60, basis="possible")
    spared = purse.send(charged=0)
    purse.end(spared, actual=60, basis="possible")
    purse.read()
    found = seen(purse)
    assert (found.unexplained, found.open.count, found.in_flight) == (0, 2, -60)


def test_a_failed_video_assumed_free_that_was_charged_is_gone_and_named_as_a_reason(purse: Purse) -> None:
    purse.read()
    purse.job(actual=0, basis="assumed")
    purse.read()
    found = seen(purse)
    assert found.unexplained == -60
    assert (found.free.count, found.free.estimated) == (1, 60)


def test_videos_of_another_key_may_draw_on_the_same_purse(purse: Purse) -> None:
    other = ProviderAccount.objects.create(
        label="old", source="admin", base_url=purse.account.base_url, upload_base_url="", key_fingerprint="old"
    )
    elsewhere = ProviderAccount.objects.create(
        label="else", source="admin", base_url="https://elsewhere.example", upload_base_url="", key_fingerprint="else"
    )
    purse.read()
    purse.end(purse.send(account=other))
    purse.read()
    assert (seen(purse).unexplained, seen(purse).settled.count) == (0, 0)
    purse.end(purse.send(account=elsewhere))
    purse.read()
    assert seen(purse).unexplained == -60


def test_a_stretch_begins_at_the_quietest_reading_shortly_before(purse: Purse) -> None:
    quiet = purse.read()
    job = purse.send()
    purse.read(minutes=30)
    since = purse.still.at + timedelta(minutes=1)
    purse.read()
    purse.end(job)
    last = purse.read()
    assert seen(purse, since).opening == quiet
    purse.read(hours=5)
    assert seen(purse, purse.still.at - timedelta(hours=1)).opening == last
    assert seen(purse, quiet.taken_at - timedelta(days=9)).opening == quiet


# What is not


def test_credits_that_no_video_explains_are_gone_and_alerted(purse: Purse) -> None:
    purse.read()
    purse.job()
    purse.balance -= Decimal("12.5")
    purse.read()
    found = seen(purse)
    assert (found.unexplained, found.is_gone) == (Decimal("-12.5"), True)
    assert found.worst is not None
    assert found.answered_at == found.worst.after.at == purse.still.at
    top_ups.reconcile_accounts()
    top_ups.reconcile_accounts()
    alert = the_alert()
    assert (alert.cause, alert.count, alert.severity) == (purse.account.cause, 2, "warning")
    assert alert.detail.endswith("most of them between 2026-09-01 12:03 UTC and 2026-09-01 12:07 UTC.")


def test_what_is_within_the_tolerance_is_explained(purse: Purse, settings: Settings) -> None:
    settings.UNEXPLAINED_TOLERANCE = Decimal(5)
    purse.read()
    purse.balance -= 5
    purse.read()
    assert seen(purse).is_explained
    reconcile.update_unexplained(purse.account)
    assert not Alert.objects.filter(kind="unexplained_spend").exists()
    purse.balance -= Decimal("0.5")
    purse.read()
    reconcile.update_unexplained(purse.account)
    assert the_alert().resolved_at is None


def test_a_difference_is_told_of_for_thirty_days(purse: Purse) -> None:
    purse.read()
    purse.balance -= 100
    purse.read()
    purse.read(days=29)
    top_ups.reconcile_accounts()
    assert the_alert().resolved_at is None
    purse.read(days=2)
    purse.read(days=2)
    top_ups.reconcile_accounts()
    assert Alert.objects.get(kind="unexplained_spend", count=1).resolved_at is not None


def test_an_account_not_read_for_long_is_left_alone(purse: Purse) -> None:
    purse.read()
    purse.balance -= 100
    purse.read()
    purse.pass_(days=31)
    top_ups.reconcile_accounts()
    assert not Alert.objects.exists()


# Answers


def test_a_difference_is_answered_by_an_entry_with_reason_and_actor(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= Decimal("12.5")
    purse.read()
    top_ups.reconcile_accounts()
    entry = correct(purse, "-12.5", actor=olga)
    assert (entry.kind, entry.amount, entry.reason, entry.actor) == (
        "correction",
        Decimal("-12.5"),
        "Tried in the playground",
        olga,
    )
    found = seen(purse)
    assert (found.unexplained, found.corrections, found.track.found) == (0, Decimal("-12.5"), Decimal("-12.5"))
    assert the_alert().resolved_at is not None
    assert found.opening.balance + found.corrections == found.closing.balance


def test_a_part_may_be_answered_first(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 100
    purse.read()
    correct(purse, -40, actor=olga)
    assert seen(purse).unexplained == -60
    correct(purse, -60, actor=olga, key=str(uuid4()))
    assert seen(purse).unexplained == 0
    assert entries() == [("correction", -40), ("correction", -60)]


def test_a_form_sent_twice_answers_once(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 100
    purse.read()
    first = correct(purse, -100, actor=olga)
    assert correct(purse, -100, actor=olga) == first
    with pytest.raises(reconcile.KeyReused):
        correct(purse, -10, actor=olga)
    assert entries() == [("correction", -100)]


@pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (5, "  ")])
def test_an_answer_needs_an_amount_and_a_reason(purse: Purse, olga: User, amount: int, reason: str) -> None:
    purse.read()
    purse.read()
    with pytest.raises(ValueError, match="needs an amount and a reason"):
        correct(purse, amount, actor=olga, reason=reason)
    assert entries() == []


def test_an_answer_counts_wherever_its_difference_shows(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 100
    gone_at = purse.read().taken_at
    purse.read(days=3)
    entry = reconcile.record_correction(
        account_id=purse.account.pk,
        amount=Decimal(-100),
        reason="Playground",
        actor=olga,
        idempotency_key=KEY,
        happened_at=seen(purse, purse.still.at - timedelta(days=5)).answered_at,
    )
    assert entry.happened_at == gone_at
    assert seen(purse, purse.still.at - timedelta(days=5)).unexplained == 0
    assert seen(purse).unexplained == 0, "and nowhere else"


def test_an_answer_to_nothing_shows_as_too_much(purse: Purse, olga: User) -> None:
    purse.read()
    purse.read()
    correct(purse, 20, actor=olga)
    found = seen(purse)
    assert (found.unexplained, found.worst, found.is_gone) == (-20, None, True)
    top_ups.reconcile_accounts()
    assert the_alert().detail == "20 provider credits are gone that no video explains."


# What the database refuses


def test_an_entry_is_never_changed_or_removed(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 10
    purse.read()
    entry = correct(purse, -10, actor=olga)
    connection.check_constraints()
    table = connection.ops.quote_name(ProviderEntry._meta.db_table)
    for statement in (
        f"UPDATE {table} SET amount = 1 WHERE id = {entry.pk}",
        f"DELETE FROM {table} WHERE id = {entry.pk}",
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    if connection.vendor == "sqlite":
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE id = {entry.pk}")
    else:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {table}")
    assert entries() == [("correction", -10)]


def test_i2_books_without_the_provider_s_guards_are_told_of(db: None) -> None:
    names = {
        "postgresql": ["veoapp_provider_entry_no_change", "veoapp_provider_entry_no_truncate"],
        "sqlite": [f"veoapp_provider_entry_no_{act}" for act in ("update", "delete", "replace")],
    }[connection.vendor]
    on = " ON billing_providerentry" if connection.vendor == "postgresql" else ""
    for name in names:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name}{on}")
        assert ("I2", name) in {(problem.invariant, problem.reference) for problem in audit_runner.find_problems()}


def test_i22_a_correction_by_nobody_is_told_of(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 10
    purse.read()
    entry = correct(purse, -10, actor=olga)
    with unguarded():
        ProviderEntry.objects.update(actor=None)
    assert ("I22", f"provider entry {entry.pk}") in {
        (one.invariant, one.reference) for one in audit_runner.find_problems()
    }


# Top-ups


def test_a_top_up_is_recognised_and_written_down(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    after = purse.read()
    assert top_ups.record_rises(purse.account) == [], "an answer that was overtaken may still come"
    assert len(top_ups.list_unrecorded_rises(seen(purse))) == 1
    purse.pass_(minutes=2)
    (entry,) = top_ups.record_rises(purse.account)
    assert (entry.kind, entry.amount, entry.snapshot, entry.happened_at) == ("top_up", 1000, after, after.taken_at)
    assert (entry.actor, entry.job_id) == (None, None)
    found = seen(purse)
    assert (found.top_ups, found.unexplained, found.jumps) == (1000, 0, ())
    assert top_ups.list_unrecorded_rises(found) == []


def test_f78_a_top_up_seen_twice_is_one(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    purse.read()
    for _ in range(3):
        purse.read()
        top_ups.reconcile_accounts()
    assert entries() == [("top_up", 1000)]
    assert seen(purse).unexplained == 0


def test_an_answer_that_was_overtaken_makes_no_second_top_up(purse: Purse) -> None:
    purse.read()
    before = purse.balance
    purse.balance += 1000
    purse.read()
    purse.read(before, seconds=1)
    purse.read(seconds=50)
    purse.read()
    top_ups.reconcile_accounts()
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == [("top_up", 1000)]
    assert seen(purse).unexplained == 0
    assert not Alert.objects.filter(kind="unexplained_spend").exists()


def test_a_theft_right_after_a_top_up_stays_a_theft(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    purse.read()
    purse.balance -= 70
    purse.read(minutes=1)
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == [("top_up", 1000)]
    assert seen(purse).unexplained == -70
    assert the_alert().resolved_at is None


def test_two_top_ups_are_two(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    purse.read()
    purse.balance += 5000
    purse.read(minutes=40)
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == [("top_up", 1000), ("top_up", 5000)]


def test_a_top_up_that_videos_blur_is_measured_until_it_is_clear(purse: Purse) -> None:
    purse.read()
    purse.balance += 1100
    jobs = [purse.send() for _ in range(2)]
    purse.read()
    purse.pass_(minutes=3)
    assert top_ups.record_rises(purse.account) == []
    (rise,) = top_ups.list_unrecorded_rises(seen(purse))
    assert (rise.least, rise.most, rise.is_blurred) == (980, 1100, True)
    for job in jobs:
        purse.end(job)
    purse.read()
    purse.pass_(minutes=2)
    top_ups.record_rises(purse.account)
    assert entries() == [("top_up", 1100)]
    assert seen(purse).unexplained == 0


@pytest.mark.parametrize(
    ("came", "charged", "written"),
    [(1000, 60, 1000), (937, 60, 817), (1000, 0, 1000), (5500, 60, 5500), (Decimal("31.5"), 0, Decimal("31.5"))],
)
def test_a_top_up_that_stays_blurred_is_taken_for_the_roundest_that_fits(
    purse: Purse, came: Decimal, charged: int, written: Decimal
) -> None:
    purse.read()
    purse.balance += came
    for _ in range(2):
        purse.send(charged=charged)
    purse.read()
    purse.read(minutes=16)
    top_ups.record_rises(purse.account)
    assert entries() == [("top_up", written)]


def test_where_several_round_amounts_fit_only_what_is_sure_is_written(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    for _ in range(5):
        purse.send(model="veo3", charged=250)
    purse.balance += 1000
    jobs = list(purse.account.spends.all())
    purse.read()
    purse.read(minutes=16)
    top_ups.record_rises(purse.account)
    assert entries() == [("top_up", 750)]
    for job in jobs:
        purse.end(job, actual=250)
    purse.read()
    purse.read()
    top_ups.record_rises(purse.account)
    assert [amount for _, amount in entries()] == [750, 1250]
    assert seen(purse).unexplained == 0


def test_what_comes_to_light_of_one_reading_later_is_a_further_part(purse: Purse) -> None:
    purse.read()
    purse.balance += 1000
    first = purse.read()
    purse.pass_(minutes=2)
    top_ups.record_rises(purse.account)
    # A job that was taken to have been paid before turns out to have been free.
    with unguarded():
        BalanceSnapshot.objects.filter(pk__gte=first.pk).update(balance=F("balance") + 500)
    top_ups.record_rises(purse.account)
    assert entries() == [("top_up", 1000), ("top_up", 500)]


# Given back


def refunded(purse: Purse, **facts: object):  # type: ignore[no-untyped-def]
    """A failed video that was paid at the provider, and refunded to its user."""
    give_credits(purse.user, 60)
    job = purse.send()
    key = f"charge:{job.job_id}"
    ledger.charge(user=purse.user, user_credits=60, idempotency_key=key, job_id=job.job_id, reference="job")
    ledger.refund(charge_key=key, idempotency_key=f"refund:{job.job_id}")
    purse.end(job, **{"actual": 60, "basis": "assumed", **facts})  # type: ignore[arg-type]
    return job


def test_what_a_failed_video_had_cost_comes_back(purse: Purse) -> None:
    purse.read()
    failed = refunded(purse)
    purse.job()
    purse.read()
    assert seen(purse).unexplained == 0
    purse.balance += 60
    purse.read()
    purse.pass_(minutes=2)
    top_ups.record_rises(purse.account)
    entry = ProviderEntry.objects.get()
    assert (entry.kind, entry.amount, entry.job_id) == ("returned", 60, failed.job_id)
    assert (seen(purse).returned, seen(purse).unexplained) == (60, 0)


def test_each_video_is_given_back_once(purse: Purse) -> None:
    purse.read()
    for _ in range(3):
        refunded(purse)
    purse.read()
    purse.balance += 120
    purse.read()
    purse.balance += 60
    purse.read(minutes=40)
    purse.balance += 60
    purse.read(minutes=40)
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == [("returned", 60), ("returned", 60), ("returned", 60), ("top_up", 60)]
    assert ProviderEntry.objects.filter(kind="returned").values("job_id").distinct().count() == 3
    assert seen(purse).unexplained == 0


def test_charged_and_given_back_without_our_having_booked_either_explain_each_other(purse: Purse) -> None:
    purse.read()
    refunded(purse, actual=0)
    purse.read()
    assert seen(purse).unexplained == -60
    purse.balance += 60
    purse.read()
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == []
    assert seen(purse).unexplained == 0


def test_a_top_up_is_not_taken_for_the_return_of_what_is_gone(purse: Purse) -> None:
    purse.read()
    purse.balance -= 1500
    purse.read()
    purse.balance += 1000
    purse.read()
    purse.read()
    top_ups.reconcile_accounts()
    assert entries() == [("top_up", 1000)]
    assert seen(purse).unexplained == -1500


def test_parts_that_make_a_sum_are_found() -> None:
    a, b, c = job_id("a"), job_id("b"), job_id("c")
    parts = {a: Decimal(60), b: Decimal("37.5"), c: Decimal(60)}
    assert top_ups.find_parts_summing_to(Decimal("97.5"), parts) == [a, b]
    assert top_ups.find_parts_summing_to(Decimal(120), parts) == [a, c]
    assert top_ups.find_parts_summing_to(Decimal(61), parts) == []
    assert top_ups.find_parts_summing_to(Decimal(61), {}) == []


# Any day


@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from(["job", "failed", "send", "later", "end", "read", "top_up"]), max_size=10),
    st.one_of(st.just(Decimal(0)), st.decimals(min_value="5.5", max_value=300, places=1)),
)
def test_any_day_of_an_honest_provider_is_explained_and_any_theft_shows_as_itself(
    purse: Purse, still: SetClock, alice: User, steps: list[str], theft: Decimal
) -> None:
    with transaction.atomic():
        purse = Purse(still, alice)
        purse.read()
        running, topped_up = [], Decimal(0)
        for step in steps:
            if step == "job":
                purse.job()
            elif step == "failed":
                purse.end(purse.send(), actual=0, charged=-60)
            elif step == "send":
                running.append((purse.send(), 0))
            elif step == "later":
                running.append((purse.send(charged=0), 60))
            elif step == "end" and running:
                job, left = running.pop()
                purse.end(job, charged=left)
            elif step == "top_up":
                purse.balance += 1000
                topped_up += 1000
            purse.read()
        for job, left in running:
            purse.end(job, charged=left)
        purse.read()
        purse.balance -= theft
        purse.read()
        purse.read(minutes=16)
        top_ups.reconcile_accounts()
        found = seen(purse)
        assert found.top_ups == topped_up
        assert found.unexplained == -theft
        assert Alert.objects.filter(kind="unexplained_spend", resolved_at=None).exists() == bool(theft)
        transaction.set_rollback(True)


def test_what_another_wrote_down_while_history_was_read_is_left_to_the_next_look(
    purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse.read()
    purse.balance += 1000
    purse.read()
    purse.read()
    lock = provider_accounts.lock_account

    def lock_after_another(account_id: int) -> ProviderAccount:
        monkeypatch.undo()
        assert len(top_ups.record_rises(purse.account)) == 1
        return lock(account_id)

    monkeypatch.setattr(provider_accounts, "lock_account", lock_after_another)
    assert top_ups.record_rises(purse.account) == []
    assert entries() == [("top_up", 1000)]
    assert seen(purse).unexplained == 0


def test_the_account_that_decisions_wait_for_is_not_locked_while_history_is_read(
    purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse.read()
    purse.job()
    purse.read()
    purse.read()

    def never(account_id: int) -> ProviderAccount:
        raise AssertionError("nothing came in, so there is nothing to decide")

    with monkeypatch.context() as patch:
        patch.setattr(provider_accounts, "lock_account", never)
        assert top_ups.record_rises(purse.account) == []
    purse.balance += 1000
    purse.read()
    purse.pass_(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(provider_accounts, "lock_account", never)
        with pytest.raises(AssertionError, match="nothing to decide"):
            top_ups.record_rises(purse.account)


def test_the_balance_is_compared_every_five_minutes(purse: Purse) -> None:
    purse.read()
    purse.balance -= 100
    purse.read()
    assert "reconcile" in sweep.enqueue_due()
    worker_tasks.reconcile()
    assert the_alert().cause == purse.account.cause
    assert "reconcile" not in sweep.enqueue_due()
    purse.pass_(minutes=5, seconds=1)
    assert "reconcile" in sweep.enqueue_due()


def test_what_comes_in_within_the_tolerance_is_no_top_up(purse: Purse) -> None:
    purse.read()
    purse.balance += 5
    purse.read()
    purse.read()
    assert top_ups.record_rises(purse.account) == []
    assert seen(purse).unexplained == 5


def test_rows_are_called_by_what_they_say(purse: Purse, olga: User) -> None:
    purse.read()
    purse.balance -= 10
    purse.read()
    assert str(correct(purse, "-10", actor=olga)) == "Correction -10"
    audit_runner.run_audit()
    run = audit_runner.get_last_run()
    assert run is not None
    assert str(run).endswith(": 0")
