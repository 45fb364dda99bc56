"""Operators' explanations (FileAnswer) of files that do not match."""

import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.models import FileAnswer, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.videos.audit.reconciliation_page import PAGE, page_text, summarize_files
from videos.models import VideoFile, VideoTask
from videos.storage import media_store

pytestmark = pytest.mark.django_db


@pytest.fixture
def differing_video(account: ProviderAccount, alice: User) -> VideoTask:
    """A paid video without a file."""
    task = history.make_failed(alice)
    Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4940))
    return task


def post_answer(staff: Client, *references: str, kind: str = "paid_without_file", reason: str = "Never made") -> Any:
    return staff.post(PAGE, {"kind": kind, "references": references, "reason": reason}, follow=True)


def test_an_answered_file_no_longer_counts_as_a_difference(
    staff: Client,
    differing_video: VideoTask,
    account: ProviderAccount,
    olga: User,
) -> None:
    html = staff.get(PAGE).text
    assert f'value="{differing_video.reference}" form="answer-paid_without_file"' in html
    assert 'class="chip chip-good">match' not in html
    response = post_answer(staff, differing_video.reference)
    assert response.redirect_chain == [(PAGE, 302)]
    text = page_text(response.text)
    assert "Decisions saved: 1." in text
    assert 'class="chip chip-good">match' in response.text
    assert "Never made · olga@example.com" in text
    assert f"/admin/videos/videotask/{differing_video.pk}/change/" in response.text
    file_answer = FileAnswer.objects.get()
    assert (file_answer.kind, file_answer.reference, file_answer.provider_credits) == (
        "paid_without_file",
        differing_video.reference,
        60,
    )
    assert (file_answer.reason, file_answer.actor) == ("Never made", olga)
    assert LogEntry.objects.get().change_message == f"{differing_video.reference}: Never made"
    paid = summarize_files(account)
    assert (paid.is_matching, paid.answered, paid.answers) == (True, 1, [file_answer])
    # The spend itself is unchanged.
    assert Spend.objects.get(job_id=differing_video.pk).actual == 60
    assert not ProviderEntry.objects.exists()


def test_only_differing_files_are_answered_and_only_once(
    staff: Client, differing_video: VideoTask, alice: User
) -> None:
    matching = history.make_ready(alice)
    for references, kind in (
        ((matching.reference,), "paid_without_file"),
        ((differing_video.reference,), "missing"),
        ((differing_video.reference, matching.reference), "paid_without_file"),
        (("videos/none.mp4",), "stray"),
        ((differing_video.reference,), "nonsense"),
    ):
        assert (
            "One of these was decided or repaired in the meantime." in post_answer(staff, *references, kind=kind).text
        )
    assert "Select at least one file." in post_answer(staff).text
    assert not FileAnswer.objects.exists()
    post_answer(staff, differing_video.reference)
    assert "One of these was decided" in post_answer(staff, differing_video.reference, reason="Again").text
    assert FileAnswer.objects.get().reason == "Never made"


def test_an_answer_without_a_reason_is_refused_and_keeps_the_selection(
    staff: Client, differing_video: VideoTask
) -> None:
    html = post_answer(staff, differing_video.reference, reason=" ").text
    assert "This field is required." in html
    assert '<details class="file-answer" open>' in html
    assert re.search(rf'value="{differing_video.reference}"[^>]* checked', html)
    assert not FileAnswer.objects.exists()


def test_answers_about_files_need_the_permission_to_correct(
    staff_browser: Callable[..., Client], differing_video: VideoTask
) -> None:
    reader = staff_browser("view_providerentry")
    assert "Paid, but there is no file" in reader.get(PAGE).text
    assert "file-answer" not in reader.get(PAGE).text
    assert post_answer(reader, differing_video.reference).status_code == 403
    assert post_answer(Client(enforce_csrf_checks=True), differing_video.reference).status_code == 403
    assert not FileAnswer.objects.exists()


def test_an_answer_about_a_missing_or_stray_file_clears_the_consistency_problem(
    staff: Client,
    account: ProviderAccount,
    alice: User,
) -> None:
    task = history.make_ready(alice)
    media_store.delete(VideoFile.objects.get(task=task).name)
    stray = Path(media_store.local_path("videos/2020/01/stray.mp4") or "")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    os.utime(stray, (0, 0))
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4940))
    assert {(problem.invariant, problem.reference) for problem in audit_runner.run_audit().problems} >= {
        ("I7", task.reference),
        ("I15", "videos/2020/01/stray.mp4"),
    }
    post_answer(staff, task.reference, kind="missing", reason="The disk broke")
    text = page_text(post_answer(staff, "videos/2020/01/stray.mp4", kind="stray", reason="From a copy").text)
    assert "From a copy" in text
    assert "The disk broke" in text
    assert "Files match" in text
    assert not {problem for problem in audit_runner.run_audit().problems if problem.invariant in ("I7", "I15")}
