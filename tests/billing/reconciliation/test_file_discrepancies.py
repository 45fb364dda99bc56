"""Explanations of file discrepancies: one for each, with reason and actor, never changed."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.costs import spend
from billing.models import FileAnswer, ProviderAccount
from billing.reconciliation import file_discrepancies
from tests.billing.admin.pages import list_cells
from tests.billing.conftest import NewSpend
from tests.jobs import job_id

pytestmark = pytest.mark.django_db
Kind = FileAnswer.Kind


def record_answer(
    olga: User, reference: str = "job:1", *, kind: Kind = Kind.MISSING, reason: str = "The disk broke"
) -> bool:
    _answer, is_new = file_discrepancies.record_answer(
        reference=reference, job_id=job_id(reference), kind=kind, reason=reason, actor=olga
    )
    return is_new


def test_an_answer_stores_reason_actor_and_cost(olga: User, account: ProviderAccount, new_spend: NewSpend) -> None:
    job = new_spend(job="job:1")
    spend.promise(spend=job, account=account)
    spend.settle(job_id=job_id("job:1"), actual=Decimal("37.5"), basis=spend.Basis.REPORTED)
    assert record_answer(olga, reason="  The disk broke ")
    stored = FileAnswer.objects.get()
    assert (stored.reference, stored.kind, stored.reason, stored.actor) == ("job:1", "missing", "The disk broke", olga)
    assert stored.provider_credits == Decimal("37.5")
    assert str(stored) == "job:1 missing"


def test_the_first_answer_is_kept(olga: User) -> None:
    assert record_answer(olga, reason="The disk broke")
    assert not record_answer(olga, reason="Another story")
    assert record_answer(olga, kind=Kind.LATE)
    assert record_answer(olga, "videos/stray.mp4", kind=Kind.STRAY)
    assert file_discrepancies.list_answered(Kind.MISSING) == {"job:1"}
    assert FileAnswer.objects.get(kind="missing").reason == "The disk broke"
    assert FileAnswer.objects.get(kind="stray").provider_credits == 0


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_answer_needs_a_reason(olga: User, reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        record_answer(olga, reason=reason)
    with pytest.raises(IntegrityError), transaction.atomic():
        FileAnswer.objects.create(reference="job:1", kind="late", provider_credits=0, reason="", actor=olga)
    assert not FileAnswer.objects.exists()


def test_an_answer_is_never_changed_or_removed(olga: User) -> None:
    record_answer(olga)
    connection.check_constraints()
    table = connection.ops.quote_name(FileAnswer._meta.db_table)
    statements = [f"UPDATE {table} SET reason = 'no'", f"DELETE FROM {table}"]
    if connection.vendor == "sqlite":
        statements.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    else:
        statements.append(f"TRUNCATE {table}")
    for statement in statements:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert FileAnswer.objects.get().reason == "The disk broke"


def test_i2_missing_triggers_of_answers_are_reported(db: None) -> None:
    names = {
        "postgresql": ["veoapp_file_answer_no_change", "veoapp_file_answer_no_truncate"],
        "sqlite": [f"veoapp_file_answer_no_{operation}" for operation in ("update", "delete", "replace")],
    }[connection.vendor]
    on_table = " ON billing_fileanswer" if connection.vendor == "postgresql" else ""
    for name in names:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name}{on_table}")
        assert ("I2", name) in {(problem.invariant, problem.reference) for problem in audit_runner.find_problems()}


def test_answers_are_read_only_in_the_admin(staff: Client, olga: User) -> None:
    record_answer(olga, "video:2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11")
    text = staff.get("/admin/billing/fileanswer/").text
    assert list_cells(text, "difference") == ["Stored, but the file is not there"]
    assert list_cells(text, "cost") == ["0"]
    assert list_cells(text, "reason") == ["The disk broke"]
    assert "/admin/videos/videotask/2f0f6f0e" in text
    assert staff.get("/admin/billing/fileanswer/add/").status_code == 403
