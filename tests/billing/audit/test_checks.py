"""`check_books` finds every kind of breakage: each is planted, and reported by the name of its invariant."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from os import utime
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.credits import ledger
from billing.models import Alert, CreditAccount, CreditLot, LedgerEntry, LotUse, PaidCall, Spend
from tests.billing import history
from tests.billing.conftest import unguarded
from tests.jobs import job_id
from tests.people import give_credits
from videos.lifecycle import acts as lifecycle
from videos.models import CallbackReceipt, SourceImage, TaskEvent, VideoFile, VideoTask
from videos.storage import media_store

pytestmark = pytest.mark.django_db
Status = VideoTask.Status

NOTHING_TO_LOOK_AT = ["images: 0 of 0 looked at", "video files: 0 of 0 looked at"]


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """A storage of this test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.MAX_CONCURRENT_PER_USER = 10
    return tmp_path / "media"


def broken(**options: bool) -> set[tuple[str, str]]:
    """(invariant, reference) of every problem. Also counted in tests/videos/audit/test_recount."""
    return {(one.invariant, one.reference) for one in audit_runner.find_problems(**options) if one.invariant != "I23"}


def invariants(**options: bool) -> set[str]:
    return {invariant for invariant, _ in broken(**options)}


def set_raw(model: type, pk: object, **values: object) -> None:
    """Change a row past everything that guards it."""
    with unguarded():
        model.objects.filter(pk=pk).update(**values)  # type: ignore[attr-defined]


def remove_raw(model: type, pk: int) -> None:
    table, key = model._meta.db_table, connection.ops.quote_name("id")  # type: ignore[attr-defined]
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {key} = %s", [pk])


def charge_of(task: VideoTask) -> LedgerEntry:
    return LedgerEntry.objects.get(idempotency_key=task.charge_key)


def age(task: VideoTask, **times: timedelta) -> None:
    """Set times of a task back from now."""
    at = clock.now()
    VideoTask.objects.filter(pk=task.pk).update(**{name: at - ago for name, ago in times.items()})


# Sound books


def test_books_of_every_state_are_sound(alice: User, bob: User, olga: User) -> None:
    for make in (
        history.ready, history.failed, history.cancelled, history.requeued, history.unconfirmed,
        history.generating, history.downloading, history.waiting,
    ):  # fmt: skip
        make(alice)
    history.submitting(bob)
    ledger.adjust(user=bob, user_credits=5, idempotency_key="a", note="a gift", actor=olga)
    assert audit_runner.find_problems(deep=True) == []
    for user in (alice, bob):
        assert ledger.balance_of(user) == sum(entry.amount for entry in ledger.statement(user))


def test_empty_books_are_sound() -> None:
    assert audit_runner.find_problems(deep=True) == []


def test_problems_make_one_alert_which_ends_with_them(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    (problem,) = audit_runner.find_problems()
    audit_runner.find_problems()
    alert = Alert.objects.get()
    assert (alert.kind, alert.count, alert.resolved_at) == ("books", 2, None)
    assert str(problem) in alert.detail
    CreditAccount.objects.update(balance=10)
    assert audit_runner.find_problems() == []
    assert Alert.objects.get().resolved_at is not None


def test_the_command_prints_a_line_for_each_problem_and_a_summary(alice: User) -> None:
    out = StringIO()
    call_command("check_books", stdout=out)
    assert out.getvalue().splitlines() == [*NOTHING_TO_LOOK_AT, "0 problems"]
    give_credits(alice, 10)
    account = CreditAccount.objects.get()
    CreditAccount.objects.update(balance=11)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_books", "--deep", stdout=out)
    assert ended.value.code == 1
    assert out.getvalue().splitlines() == [
        f"I1 credit account {account.pk}: balance 11, entries sum to 10, the last says 10, lots hold 10",
        *NOTHING_TO_LOOK_AT,
        "1 problems",
    ]


def test_an_app_may_add_what_must_hold_in_its_own_tables() -> None:
    problem = audit_runner.Problem("I99", "thing 1", "is odd")

    @audit_runner.register_check
    def odd(*, deep: bool) -> list[audit_runner.Problem]:
        return [problem]

    try:
        assert audit_runner.find_problems() == [problem]
    finally:
        audit_runner._checks.pop(f"{__name__}.odd")
    assert audit_runner.find_problems() == []


# I1 to I4: accounts and entries


def test_i1_a_balance_that_its_entries_do_not_explain(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=F("balance") + 1)
    account = CreditAccount.objects.get()
    assert broken() == {("I1", f"credit account {account.pk}")}


def test_i1_a_balance_without_any_entry(alice: User) -> None:
    account = CreditAccount.objects.create(user=alice, balance=5)
    assert broken() == {("I1", f"credit account {account.pk}")}


def test_i1_an_entry_that_does_not_go_on_from_the_one_before(alice: User) -> None:
    for _ in range(3):
        give_credits(alice, 10)
    middle = ledger.statement(alice).order_by("id")[1]
    set_raw(LedgerEntry, middle.pk, balance_after=25)
    assert broken() == {("I1", f"ledger entry {middle.pk}"), ("I1", f"ledger entry {middle.pk + 1}")}


def test_i1_an_entry_that_is_gone(alice: User) -> None:
    for _ in range(3):
        give_credits(alice, 10)
    middle = ledger.statement(alice).order_by("id")[1]
    account = middle.account_id
    CreditLot.objects.filter(entry=middle).update(entry=None)
    remove_raw(LedgerEntry, middle.pk)
    assert broken() == {("I1", f"credit account {account}"), ("I1", f"ledger entry {middle.pk + 1}")}


def test_i1_lots_that_do_not_hold_the_balance(alice: User) -> None:
    give_credits(alice, 10)
    lot = CreditLot.objects.get()
    CreditLot.objects.update(remaining=9)
    assert broken() == {("I1", f"credit account {lot.account_id}"), ("I1", f"credit lot {lot.pk}")}


def test_i1_a_lot_whose_uses_do_not_explain_what_is_left(alice: User) -> None:
    task = history.cancelled(alice)
    assert broken() == set()
    LotUse.objects.filter(entry__kind="refund").delete()
    assert broken() == {("I1", f"credit lot {CreditLot.objects.get().pk}")}
    LotUse.objects.filter(entry=charge_of(task)).update(amount=1)
    assert ("I1", f"ledger entry {charge_of(task).pk}") in broken()


def test_i1_a_grant_whose_lot_is_of_another_size(alice: User) -> None:
    give_credits(alice, 10)
    lot = CreditLot.objects.get()
    CreditLot.objects.update(granted=11)
    assert broken() == {("I1", f"credit lot {lot.pk}"), ("I1", f"ledger entry {lot.entry_id}")}


def without(trigger: str, table: str) -> None:
    on = f" ON {table}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {trigger}{on}")


def triggers(**by_vendor: list[str]) -> list[str]:
    return by_vendor[connection.vendor]


def test_i2_a_ledger_without_its_guards(alice: User) -> None:
    for name in triggers(
        postgresql=["veoapp_ledger_no_change", "veoapp_ledger_no_truncate"],
        sqlite=["veoapp_ledger_no_update", "veoapp_ledger_no_delete", "veoapp_ledger_no_replace"],
    ):
        without(name, "billing_ledgerentry")
        assert ("I2", name) in broken()


@pytest.mark.postgres
def test_i2_a_guard_that_sleeps_or_has_no_teeth(alice: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER veoapp_ledger_no_truncate")
        assert broken() == {("I2", "veoapp_ledger_no_truncate")}
        cursor.execute(
            "CREATE OR REPLACE FUNCTION veoapp_ledger_append_only() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN NEW; END $$"
        )
    assert broken() == {("I2", "veoapp_ledger_no_truncate"), ("I2", "veoapp_ledger_no_change")}


@pytest.mark.postgres
def test_i3_a_charge_refunded_twice(alice: User) -> None:
    task = history.cancelled(alice)
    charge = charge_of(task)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DROP CONSTRAINT billing_ledgerentry_reverses_id_key")
    account = charge.account
    CreditAccount.objects.filter(pk=account.pk).update(balance=120)
    again = LedgerEntry.objects.create(
        account=account, kind="refund", amount=60, balance_after=120, idempotency_key="again",
        reference=charge.reference, job_id=charge.job_id, reverses=charge,
    )  # fmt: skip
    CreditLot.objects.create(account=account, entry=again, granted=60, remaining=60)
    assert broken() == {("I3", f"ledger entry {charge.pk}")}


def test_i3_a_failed_video_without_its_refund(alice: User) -> None:
    task = history.failed(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    LotUse.objects.filter(entry=refund).delete()
    remove_raw(LedgerEntry, refund.pk)
    CreditAccount.objects.update(balance=0)
    CreditLot.objects.update(remaining=0)
    assert broken() == {("I3", task.reference)}


def test_i3_a_delivered_video_that_was_refunded(alice: User) -> None:
    task = history.ready(alice)
    ledger.refund(charge_key=task.charge_key, idempotency_key=task.refund_key)
    assert broken() == {("I3", task.reference)}


def test_i3_a_video_that_was_never_charged(alice: User) -> None:
    task = history.waiting(alice)
    LotUse.objects.all().delete()
    remove_raw(LedgerEntry, charge_of(task).pk)
    CreditAccount.objects.update(balance=60)
    CreditLot.objects.update(remaining=60)
    assert broken() == {("I3", task.reference), ("I22", f"job:{task.pk}")}


def test_i4_a_refund_of_another_amount(alice: User) -> None:
    history.cancelled(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    set_raw(LedgerEntry, refund.pk, amount=59, balance_after=59)
    CreditAccount.objects.update(balance=59)
    LotUse.objects.filter(entry=refund).update(amount=59)
    CreditLot.objects.update(remaining=59)
    assert broken() == {("I4", f"ledger entry {refund.pk}")}


def test_i4_a_refund_to_somebody_else(alice: User, bob: User) -> None:
    history.cancelled(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    CreditAccount.objects.create(user=bob, balance=60)
    set_raw(LedgerEntry, refund.pk, account=bob.credit_account)
    CreditAccount.objects.filter(user=alice).update(balance=0)
    LotUse.objects.filter(entry=refund).delete()
    CreditLot.objects.update(remaining=0)
    CreditLot.objects.create(account=bob.credit_account, entry=refund, granted=60, remaining=60)
    assert broken() == {("I4", f"ledger entry {refund.pk}")}


# I5, I6: paid calls and spend


@pytest.mark.postgres
def test_i5_two_paid_calls_for_one_video(alice: User) -> None:
    task = history.generating(alice)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX paid_call_one_live_per_spend")
    call = PaidCall.objects.get()
    PaidCall.objects.create(spend=call.spend, account=call.account, started_at=call.started_at, outcome="unconfirmed")
    assert broken() == {("I5", f"job:{task.pk}")}


def test_i5_a_video_at_the_provider_without_a_paid_call(alice: User) -> None:
    task = history.generating(alice)
    PaidCall.objects.update(outcome="unconfirmed")
    assert broken() == {("I5", task.reference)}


def test_i6_a_promise_without_its_call(alice: User) -> None:
    task = history.submitting(alice)
    PaidCall.objects.update(outcome="not_sent", answered_at=clock.now())
    assert broken() == {("I6", f"job:{task.pk}")}


def test_i6_spend_that_does_not_follow_its_video(alice: User) -> None:
    task = history.ready(alice)
    Spend.objects.update(state="promised", actual=None, settled_at=None)
    assert broken() == {("I6", task.reference)}


def test_i6_a_video_without_spend(alice: User) -> None:
    task = history.cancelled(alice)
    Spend.objects.all().delete()
    assert {("I6", task.reference), ("I22", f"ledger entry {charge_of(task).pk}")} == broken()


# I7, I8, I15: files


def test_i7_a_film_that_is_gone_shorter_or_another(alice: User, media: Path) -> None:
    task = history.ready(alice)
    film = media / VideoFile.objects.get().name
    film.write_bytes(b"b film")
    assert broken() == set(), "a look at the size sees nothing"
    assert broken(deep=True) == {("I7", task.reference)}
    film.write_bytes(b"a fil")
    assert broken() == {("I7", task.reference)}
    film.unlink()
    assert broken() == {("I7", task.reference)}


def test_i7_a_poster_that_is_gone(alice: User, media: Path) -> None:
    task = history.ready(alice)
    (media / VideoFile.objects.get().poster_name).unlink()
    assert broken() == {("I7", task.reference)}


def test_i7_a_ready_video_without_a_stored_file(alice: User) -> None:
    task = history.ready(alice)
    media_store.delete(VideoFile.objects.get().name)
    VideoFile.objects.all().delete()
    assert broken() == {("I7", task.reference)}


def test_i7_an_image_that_is_gone_or_another(alice: User, media: Path) -> None:
    media_store.store_bytes(b"image", "images/one.webp", mime_type="image/webp")
    digest = media_store.sha256_of(media / "images/one.webp")
    image = SourceImage.objects.create(
        user=alice, name="images/one.webp", mime_type="image/webp", width=1, height=1, size_bytes=5, sha256=digest
    )
    assert broken(deep=True) == set()
    (media / image.name).write_bytes(b"imago")
    assert broken(deep=True) == {("I7", f"image:{image.pk}")}
    (media / image.name).unlink()
    assert broken() == {("I7", f"image:{image.pk}")}


def test_i7_a_file_deleted_while_we_looked_is_no_problem(
    alice: User, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.ready(alice)

    def deleted_meanwhile(name: str) -> bool:
        VideoFile.objects.update(state=VideoFile.State.DELETED)
        VideoTask.objects.update(deleted_at=clock.now())
        return False

    monkeypatch.setattr(media_store, "exists", deleted_meanwhile)
    assert broken() == set()


def test_i7_a_storage_that_cannot_be_read(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    history.ready(alice)

    def trouble(name: str) -> bool:
        raise media_store.StorageError("EIO")

    monkeypatch.setattr(media_store, "exists", trouble)
    assert broken() == {("I7", "storage")}


def test_i8_a_film_not_stored_for_an_hour_and_nobody_told(alice: User) -> None:
    task = history.downloading(alice)
    age(task, provider_done_at=timedelta(minutes=59), submitted_at=timedelta(minutes=62))
    assert broken() == set()
    age(task, provider_done_at=timedelta(minutes=61))
    assert broken() == {("I8", task.reference)}
    Alert.objects.create(kind="undownloaded", severity="warning", reference=task.reference, window_key="told")
    assert invariants() == set()


def test_i15_a_part_or_an_object_left_lying_about(media: Path) -> None:
    at = datetime.now(UTC)

    def leave(path: Path, ago: timedelta) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
        stamp = (at - ago).timestamp()
        utime(path, (stamp, stamp))

    leave(media / ".incoming/fresh.part", timedelta(hours=24))
    leave(media / "videos/2026/01/fresh.mp4", timedelta(hours=24))
    assert broken() == set()
    leave(media / ".incoming/old.part", timedelta(hours=26))
    leave(media / "videos/2026/01/old.mp4", timedelta(hours=26))
    assert broken() == {("I15", "old.part"), ("I15", "videos/2026/01/old.mp4")}


def test_i15_a_file_of_two_rows(alice: User) -> None:
    one, two = history.ready(alice), history.ready(alice)
    poster = VideoFile.objects.get(task=one).poster_name
    VideoFile.objects.filter(task=two).update(poster_name=poster)
    assert broken() == {("I15", poster)}


# I10, I12 to I14, I22: promises and history


def test_i10_a_callback_unread_when_its_video_was_given_up(alice: User) -> None:
    task = history.unconfirmed(alice)
    CallbackReceipt.objects.create(
        task=task, provider_task_id="abc", body_sha256="0" * 64, received_at=clock.now() - timedelta(minutes=1)
    )
    from_ = Status.UNCONFIRMED
    assert lifecycle.give_up(task_id=task.pk, from_=from_, code="unconfirmed", detail="no callback")
    assert broken() == {("I10", task.reference)}
    CallbackReceipt.objects.update(verdict="rejected")
    assert broken() == set()


LATE: list[tuple[Callable[[User], VideoTask], dict[str, timedelta]]] = [
    (history.waiting, {"created_at": timedelta(hours=25)}),
    (history.submitting, {"lease_until": timedelta(minutes=11)}),
    (history.unconfirmed, {"submitted_at": timedelta(minutes=26)}),
    (history.generating, {"submitted_at": timedelta(minutes=26)}),
]


@pytest.mark.parametrize(("make", "times"), LATE, ids=["queued", "submitting", "unconfirmed", "generating"])
def test_i12_a_video_past_its_deadline_and_nobody_told(
    alice: User, make: Callable[[User], VideoTask], times: dict[str, timedelta]
) -> None:
    task = make(alice)
    age(task, **times)
    assert broken() == {("I12", task.reference)}
    Alert.objects.create(kind="delayed", severity="info", reference=task.reference, window_key="told")
    assert broken() == set()


@pytest.mark.postgres
def test_i13_a_provider_task_of_two_videos(alice: User) -> None:
    one, two = history.generating(alice), history.generating(alice)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE videos_videotask DROP CONSTRAINT videos_videotask_provider_task_id_key")
    set_raw(VideoTask, two.pk, provider_task_id=one.provider_task_id)
    assert broken() == {("I13", one.provider_task_id)}


def test_i13_i14_history_without_its_guards() -> None:
    for name in triggers(postgresql=["veoapp_task_history"], sqlite=["veoapp_task_final", "veoapp_task_provider_id"]):
        without(name, "videos_videotask")
    without("veoapp_event_no_change", "videos_taskevent")
    assert invariants() == {"I13", "I14"}
    assert ("I14", "veoapp_event_no_change") in broken()


def test_i14_a_status_that_its_events_do_not_tell(alice: User) -> None:
    task = history.waiting(alice)
    VideoTask.objects.filter(pk=task.pk).update(status=Status.SUBMITTING, lease_until=clock.now())
    assert broken() == {("I14", task.reference), ("I6", task.reference)}


def test_i14_a_step_that_is_missing_in_between(alice: User) -> None:
    task = history.generating(alice)
    remove_raw(TaskEvent, TaskEvent.objects.get(task=task, kind="claimed").pk)
    assert broken() == {("I14", task.reference)}


def test_i14_a_step_out_of_an_end(alice: User) -> None:
    task = history.cancelled(alice)
    TaskEvent.objects.create(task=task, kind="note", from_status=Status.CANCELLED, to_status=Status.CANCELLED)
    assert broken() == {("I14", task.reference)}


def test_i22_a_movement_without_a_cause(alice: User) -> None:
    give_credits(alice, 100)
    grant = ledger.statement(alice).get()
    set_raw(LedgerEntry, grant.pk, note="")
    charge = ledger.charge(
        user=alice, user_credits=10, idempotency_key="k", job_id=job_id("nothing"), reference="nothing"
    )
    assert broken() == {("I22", f"ledger entry {grant.pk}"), ("I22", f"ledger entry {charge.pk}")}


def test_i22_a_charge_for_a_video_that_is_gone(alice: User) -> None:
    task = history.cancelled(alice)
    charge = charge_of(task)
    task.delete()
    refund = LedgerEntry.objects.get(reverses=charge)
    assert broken() == {("I22", f"ledger entry {charge.pk}"), ("I22", f"ledger entry {refund.pk}")}
