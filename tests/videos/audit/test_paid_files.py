"""Paid videos compared with the stored files."""

import re
from decimal import Decimal
from itertools import product
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import spend
from billing.models import BooksRun, ProviderAccount, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.billing.conftest import without_history_protection
from tests.jobs import job_id
from tests.videos.audit.reconciliation_page import PAGE, summarize_files
from videos.audit import paid_files
from videos.models import VideoFile, VideoTask
from videos.storage import media_store

pytestmark = pytest.mark.django_db


def list_differences(paid: paid_files.PaidFiles) -> dict[str, list[UUID]]:
    return {difference.kind: [task.pk for task in difference.tasks] for difference in paid.differences}


def test_files_match_when_every_paid_video_is_on_the_disk(account: ProviderAccount, alice: User) -> None:
    tasks = [history.make_ready(alice), history.make_ready(alice)]
    history.make_failed(alice)
    history.make_downloading(alice)
    paid = summarize_files(account)
    assert (paid.delivered, paid.files, paid.checked, paid.deleted) == (2, 2, 2, 0)
    assert paid.size_bytes == 2 * len(history.VIDEO_BYTES)
    assert (paid.differences, paid.is_matching) == ([], True)
    VideoFile.objects.filter(task=tasks[0]).update(state="deleted")
    assert (
        summarize_files(account).delivered,
        summarize_files(account).deleted,
        summarize_files(account).is_matching,
    ) == (1, 1, True)


def test_each_kind_of_difference_lists_its_videos(account: ProviderAccount, alice: User) -> None:
    missing, free, late = history.make_ready(alice), history.make_ready(alice), history.make_ready(alice)
    media_store.delete(VideoFile.objects.get(task=missing).name)
    Spend.objects.filter(job_id=free.pk).update(actual=0)
    VideoTask.objects.filter(pk=late.pk).update(late_at=late.created_at)
    failed = history.make_failed(alice)
    Spend.objects.filter(job_id=failed.pk).update(actual=60, basis="reported")
    spend.settle(job_id=history.make_waiting(alice).pk, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    paid = summarize_files(account)
    assert list_differences(paid) == {
        "missing": [missing.pk],
        "unpaid_file": [free.pk],
        "paid_without_file": [failed.pk],
        "late": [late.pk],
    }
    assert not paid.is_matching
    without_file = next(row for row in paid.differences if row.kind == "paid_without_file")
    assert (without_file.count, without_file.provider_credits, str(without_file.label)) == (
        1,
        60,
        "Paid, but there is no file",
    )


def test_a_file_of_another_size_counts_as_missing(account: ProviderAccount, alice: User, settings: Settings) -> None:
    task = history.make_ready(alice)
    (Path(settings.MEDIA_ROOT) / VideoFile.objects.get().name).write_bytes(b"half")
    assert list_differences(summarize_files(account)) == {"missing": [task.pk]}


def test_without_a_local_disk_the_last_consistency_check_counts(
    account: ProviderAccount, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = history.make_ready(alice)
    monkeypatch.setattr(media_store, "local_path", lambda name: None)
    problems = [
        {"invariant": "I7", "reference": task.reference, "text": "is not there"},
        {"invariant": "I7", "reference": f"video:{uuid4()}", "text": "a video of another period"},
        {"invariant": "I15", "reference": "videos/stray.mp4", "text": "no row"},
    ]
    run = BooksRun.objects.create(took_s=1, problems=3, first_problems=problems)
    paid = summarize_files(account, run)
    assert (paid.checked, list_differences(paid)) == (0, {"missing": [task.pk], "stray": []})
    assert paid.differences[1].names == ["videos/stray.mp4"]


def test_the_page_links_to_the_videos_and_offers_the_download(
    staff: Client,
    account: ProviderAccount,
    alice: User,
) -> None:
    task = history.make_failed(alice)
    Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
    VideoFile.objects.create(task=task, index=0, source_url="https://files.example/a.mp4", state="lost")
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4940))
    BooksRun.objects.create(
        took_s=1,
        problems=1,
        first_problems=[{"invariant": "I15", "reference": "videos/stray.mp4", "text": "is stored, but no row"}],
    )
    html = staff.get(PAGE).text
    assert "Paid, but there is no file" in html
    assert f"/admin/videos/videotask/{task.pk}/change/" in html
    assert 'name="action" value="retry_download"' in html
    assert "videos/stray.mp4" in html
    link = re.search(r'href="(/admin/billing/spend/\?[^"]*)"', html)
    assert link
    assert staff.get(link[1].replace("&amp;", "&")).status_code == 200


def test_differences_found_by_the_database_equal_a_check_video_by_video(account: ProviderAccount, alice: User) -> None:
    """Every combination of cost, files, status and lateness, classified by simple rules here and by the page."""
    expected: dict[str, set[UUID]] = {}
    combinations = product(
        (0, 60), ((), ("stored",), ("deleted",), ("lost", "stored"), ("lost",)), (False, True), (False, True)
    )
    for cost, states, is_late, is_open in combinations:
        task = history.make_downloading(alice)
        VideoFile.objects.filter(task=task).delete()
        for index, state in enumerate(states):
            VideoFile.objects.create(
                task=task, index=index, source_url="https://files.example/a.mp4", state=state,
                name=f"videos/{task.pk}" if state == "stored" else "", sha256="a", size_bytes=1,
            )  # fmt: skip
        ended = {} if is_open else {"status": "failed", "finished_at": task.created_at}
        with without_history_protection():
            VideoTask.objects.filter(pk=task.pk).update(late_at=task.created_at if is_late else None, **ended)
        Spend.objects.filter(job_id=task.pk).update(actual=cost)
        if "stored" in states:
            kind = "late" if is_late else "" if cost else "unpaid_file"
        else:
            kind = "paid_without_file" if cost and "deleted" not in states and not is_open else ""
        expected.setdefault(kind, set()).add(task.pk)
    spend.settle(job_id=new_job(alice).job_id, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    expected.pop("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media_store, "local_path", lambda name: None)
        paid = summarize_files(account)
        patch.setattr(paid_files, "MAX_NAMED", 100)
        assert {kind: set(tasks) for kind, tasks in list_differences(summarize_files(account)).items()} == expected
    assert {row.kind.value: row.count for row in paid.differences} == {
        kind: len(tasks) for kind, tasks in expected.items()
    }
    assert (paid.delivered, paid.files, paid.deleted) == (16, 16, 8)


def new_job(user: User) -> Spend:
    """A job without a video."""
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    return spend.estimate(job_id=job_id("job:1"), user=user, quote=quote)


def test_the_number_of_queries_does_not_depend_on_the_number_of_videos(account: ProviderAccount, alice: User) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            task = history.make_failed(alice)
            Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
            history.make_ready(alice)
        with CaptureQueriesContext(connection) as queries:
            summarize_files(account)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14
