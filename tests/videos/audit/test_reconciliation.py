"""The page of reconciliation: what it says in each state, what is answered there, and who may."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.costs import spend
from billing.models import Alert, BooksRun, CreditAccount, FileAnswer, ProviderAccount, ProviderEntry, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from billing.reconciliation import top_ups
from tests.billing import history
from tests.billing.conftest import SetClock, browser_of, desk, still, unguarded  # noqa: F401
from tests.billing.purse import Purse
from tests.jobs import job_id
from tests.people import give_credits, make_person
from videos.audit import paid_files
from videos.models import VideoFile, VideoTask
from videos.storage import media_store

pytestmark = pytest.mark.django_db
PAGE = "/admin/reconciliation/"
KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


@pytest.fixture
def purse(still: SetClock, alice: User, settings: Settings) -> Purse:  # noqa: F811
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return Purse(still, alice)


@pytest.fixture
def clerk(settings: Settings, db: None) -> Callable[..., Client]:
    settings.STAFF_MFA_REQUIRED = False

    def hired(*rights: str) -> Client:
        user = make_person(f"{rights[0]}@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        return browser_of(user)

    return hired


def said(html: str) -> str:
    """The page's words alone."""
    body = html[html.index("<main") : html.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def sums(html: str) -> dict[str, str]:
    """The reckoning: words and amount of each line."""
    table = html[html.index('class="sums') :]
    rows = re.findall(r'<th scope="row">([^<]*).*?</th>\s*<td>([^<]*)</td>', table[: table.index("</table>")], re.S)
    return dict(rows)


def gone(purse: Purse, amount: object = "12.5") -> None:
    purse.read()
    purse.job()
    purse.balance -= Decimal(str(amount))
    purse.read()


def answer(desk: Client, amount: object, *, key: str = KEY, reason: str = "Playground", query: str = "") -> Any:  # noqa: F811
    form = {"amount": str(amount), "reason": reason, "key": key}
    return desk.post(PAGE + query, form, follow=True)


# What it says


def test_before_two_readings_there_is_nothing_to_compare(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    text = said(desk.get(PAGE).text)
    assert "Nothing to compare yet" in text
    assert "Books not checked yet" in text
    assert desk.post(PAGE, {}).status_code == 403


def test_without_an_account_it_says_what_is_missing(desk: Client, settings: Settings) -> None:  # noqa: F811
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert "There is no provider account" in said(desk.get(PAGE).text)


def test_what_is_explained_adds_up(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    purse.job()
    purse.job(model="veo3", actual="37.5", charged="-22.5")
    purse.balance += 1000
    purse.read()
    purse.send()
    purse.read()
    top_ups.reconcile_accounts()
    BooksRun.objects.create(took_s=1, problems=0, at=purse.still.at)
    html = desk.get(PAGE).text
    text = said(html)
    assert "Everything explained. 1 video is not settled yet: up to 60 credits may have been charged for it." in text
    assert sums(html) == {
        "Balance at the beginning": "5,000",
        "Top-ups": "+1,000",
        "Given back by the provider": "0",
        "Videos whose cost is known": "−97.5",
        "Videos in progress": "−60",
        "Corrections by operators": "0",
        "Not explained": "0",
        "Balance at the end": "5,842.5",
    }
    assert "Veo 3.1 Fast 1 60 60" in text
    assert "Veo 3.1 Quality 1 250 37.5" in text
    assert "Compared with the estimates: −212.5" in text
    assert "Books balance" in text
    assert "Every balance is the sum of its entries." in text


def test_what_is_gone_is_said_with_its_place(desk: Client, purse: Purse) -> None:  # noqa: F811
    gone(purse)
    html = desk.get(PAGE).text
    text = said(html)
    assert "12.5 credits are missing that no video explains." in text
    assert sums(html)["Not explained"] == "−12.5"
    assert "between the readings of 12:03:00 and 12:07:01 −12.5" in text
    assert 'name="amount" value="-12.5"' in html


def test_failed_videos_that_may_explain_it_are_named(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    purse.job(actual=0, basis="assumed")
    purse.read()
    assert "1 failed video was counted as free; charged, it would have cost 60" in said(desk.get(PAGE).text)


def test_more_than_is_explained_is_no_alarm(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    purse.job(charged=-30, actual=60)
    purse.read()
    provider_accounts.lock_account(purse.account.pk)
    text = said(desk.get(PAGE).text)
    assert "Credits were added." in text
    purse.pass_(minutes=20)
    text = said(desk.get(PAGE).text)
    assert "There are 30 credits more than our books explain." in text


def test_a_top_up_that_is_being_measured_is_said(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    purse.balance += 1000
    purse.read()
    html = desk.get(PAGE).text
    assert "They are being measured" in said(html)
    # Nobody is led to count it twice.
    assert "Wait for that, or they count twice" in said(html)
    assert 'value="1000"' not in html


def test_other_stretches_and_days_are_chosen(desk: Client, purse: Purse) -> None:  # noqa: F811
    gone(purse)
    purse.read(days=5)
    assert "Everything explained." in said(desk.get(PAGE).text)
    for query in ("?stretch=week", "?stretch=month", "?begin=2026-09-01&end=2026-09-01"):
        assert "12.5 credits are missing" in said(desk.get(PAGE + query).text), query
    assert "The last day is before the first." in said(desk.get(f"{PAGE}?begin=2026-09-02&end=2026-09-01").text)
    assert "Enter a valid date." in said(desk.get(f"{PAGE}?begin=soon&end=2026-09-01").text)
    assert "Nothing to compare yet" in said(desk.get(f"{PAGE}?begin=2026-01-01&end=2026-01-02").text)


def test_each_account_has_its_own_page(desk: Client, purse: Purse, settings: Settings) -> None:  # noqa: F811
    gone(purse)
    other = ProviderAccount.objects.create(
        label="Other", source="admin", base_url="https://other.example", upload_base_url="", key_fingerprint="o"
    )
    assert "Nothing to compare yet" in said(desk.get(f"{PAGE}?account={other.pk}").text)
    assert "12.5 credits are missing" in said(desk.get(f"{PAGE}?account={purse.account.pk}").text)
    assert "12.5 credits are missing" in said(desk.get(f"{PAGE}?account=nonsense").text)
    assert "12.5 credits are missing" in said(desk.get(f"{PAGE}?account=99999").text)
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    other.delete()
    assert "12.5 credits are missing" in said(desk.get(PAGE).text), "the newest account, when none is current"


def test_problems_of_the_books_are_listed(desk: Client, purse: Purse) -> None:  # noqa: F811
    gone(purse)
    give_credits(purse.user, 10)
    CreditAccount.objects.update(balance=11)
    problem = next(one for one in audit_runner.run_audit().problems if one.invariant == "I1")
    text = said(desk.get(PAGE).text)
    assert "Not every balance is the sum of its entries" in text
    assert problem.text in text


# Answers


def test_a_difference_is_answered_on_the_page(desk: Client, purse: Purse, olga: User) -> None:  # noqa: F811
    gone(purse)
    top_ups.reconcile_accounts()
    done = answer(desk, "-12.5")
    assert done.redirect_chain == [(PAGE, 302)]
    assert "Correction saved: −12.5 credits." in done.text
    assert "Everything explained." in said(done.text)
    assert "Playground · olga@example.com" in said(done.text)
    entry = ProviderEntry.objects.get()
    assert (entry.kind, entry.amount, entry.reason, entry.actor) == ("correction", Decimal("-12.5"), "Playground", olga)
    assert LogEntry.objects.get().change_message == "-12.5: Playground"
    assert Alert.objects.get(kind="unexplained_spend").resolved_at is not None


def test_a_double_click_answers_once(desk: Client, purse: Purse) -> None:  # noqa: F811
    gone(purse)
    answer(desk, "-12.5")
    answer(desk, "-12.5")
    assert ProviderEntry.objects.count() == 1
    assert "This form was already used" in answer(desk, "-12").text
    assert ProviderEntry.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"amount": "0"}, {"amount": "much"}, {"reason": " "}])
def test_an_answer_that_says_nothing_is_refused(desk: Client, purse: Purse, wrong: dict[str, str]) -> None:  # noqa: F811
    gone(purse)
    assert "errorlist" in answer(desk, **{"amount": "-12.5", **wrong}).text
    assert not ProviderEntry.objects.exists()


def test_what_is_explained_asks_for_no_amount(desk: Client, purse: Purse) -> None:  # noqa: F811
    purse.read()
    purse.read()
    html = desk.get(PAGE).text
    keys = {re.search(r'name="key" value="([^"]+)"', desk.get(PAGE).text)[1] for _ in range(2)}  # type: ignore[index]
    assert len(keys) == 2
    assert not re.search(r'name="amount"[^>]*value=', html)


def test_only_who_may_answer_is_asked(clerk: Callable[..., Client], purse: Purse) -> None:
    gone(purse)
    assert clerk_page(clerk("view_videotask")).status_code == 403
    reader = clerk("view_providerentry")
    assert "12.5 credits are missing" in said(clerk_page(reader).text)
    assert "Record a correction" not in clerk_page(reader).text
    assert answer(reader, "-12.5").status_code == 403
    assert not ProviderEntry.objects.exists()
    assert Client().get(PAGE).status_code == 302


def clerk_page(browser: Client) -> Any:
    return browser.get(PAGE)


# Files


@pytest.fixture
def made(settings: Settings, tmp_path: Path, alice: User) -> ProviderAccount:
    """An account with a balance read before anything was made."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_ACTIVE_PER_USER = settings.PROVIDER_RATE_LIMIT = 100
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = Decimal(0)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    return account


def kept(account: ProviderAccount, run: BooksRun | None = None) -> paid_files.Kept:
    at = Spend.objects.latest("settled_at").settled_at
    assert at is not None
    return paid_files.Files(account=account, after=at - timedelta(hours=1), until=at, run=run).kept()


def differences(found: paid_files.Kept) -> dict[str, list[UUID]]:
    return {one.kind: [task.pk for task in one.tasks] for one in found.differences}


def test_files_agree_when_every_paid_video_is_on_the_disk(made: ProviderAccount, alice: User) -> None:
    tasks = [history.ready(alice), history.ready(alice)]
    history.failed(alice)
    history.downloading(alice)
    found = kept(made)
    assert (found.delivered, found.files, found.checked, found.deleted) == (2, 2, 2, 0)
    assert found.size_bytes == 2 * len(history.FILM)
    assert (found.differences, found.agree) == ([], True)
    VideoFile.objects.filter(task=tasks[0]).update(state="deleted")
    assert (kept(made).delivered, kept(made).deleted, kept(made).agree) == (1, 1, True)


def test_each_kind_of_disagreement_names_its_videos(made: ProviderAccount, alice: User) -> None:
    missing, free, late = history.ready(alice), history.ready(alice), history.ready(alice)
    media_store.delete(VideoFile.objects.get(task=missing).name)
    Spend.objects.filter(job_id=free.pk).update(actual=0)
    VideoTask.objects.filter(pk=late.pk).update(late_at=late.created_at)
    failed = history.failed(alice)
    Spend.objects.filter(job_id=failed.pk).update(actual=60, basis="reported")
    spend.settle(job_id=history.waiting(alice).pk, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    found = kept(made)
    assert differences(found) == {
        "missing": [missing.pk],
        "unpaid_file": [free.pk],
        "paid_without_file": [failed.pk],
        "late": [late.pk],
    }
    assert not found.agree
    paid = next(one for one in found.differences if one.kind == "paid_without_file")
    assert (paid.count, paid.provider_credits, str(paid.words)) == (1, 60, "Paid, but there is no file")


def test_a_file_of_another_size_counts_as_missing(made: ProviderAccount, alice: User, settings: Settings) -> None:
    task = history.ready(alice)
    (Path(settings.MEDIA_ROOT) / VideoFile.objects.get().name).write_bytes(b"half")
    assert differences(kept(made)) == {"missing": [task.pk]}


def test_what_a_look_at_the_books_found_counts_where_no_disk_is_at_hand(
    made: ProviderAccount, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = history.ready(alice)
    monkeypatch.setattr(media_store, "local_path", lambda name: None)
    problems = [
        {"invariant": "I7", "reference": task.reference, "text": "is not there"},
        {"invariant": "I7", "reference": f"video:{uuid4()}", "text": "another time's"},
        {"invariant": "I15", "reference": "videos/stray.mp4", "text": "no row"},
    ]
    run = BooksRun.objects.create(took_s=1, problems=3, first_problems=problems)
    found = kept(made, run)
    assert (found.checked, differences(found)) == (0, {"missing": [task.pk], "stray": []})
    assert found.differences[1].names == ["videos/stray.mp4"]


def test_the_page_links_to_the_videos_and_offers_the_download(
    desk: Client,  # noqa: F811
    made: ProviderAccount,
    alice: User,
) -> None:
    task = history.failed(alice)
    Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
    VideoFile.objects.create(task=task, index=0, source_url="https://files.example/a.mp4", state="lost")
    provider_accounts.record_balance(account_id=made.pk, balance=Decimal(4940))
    BooksRun.objects.create(
        took_s=1,
        problems=1,
        first_problems=[{"invariant": "I15", "reference": "videos/stray.mp4", "text": "is stored, but no row"}],
    )
    html = desk.get(PAGE).text
    assert "Paid, but there is no file" in html
    assert f"/admin/videos/videotask/{task.pk}/change/" in html
    assert 'name="action" value="retry_download"' in html
    assert "videos/stray.mp4" in html
    link = re.search(r'href="(/admin/billing/spend/\?[^"]*)"', html)
    assert link
    assert desk.get(link[1].replace("&amp;", "&")).status_code == 200


def test_the_database_finds_what_a_person_would_find_video_by_video(made: ProviderAccount, alice: User) -> None:
    """Every mix of cost, files, end and lateness, sorted by plain rules and by the page."""
    expected: dict[str, set[UUID]] = {}
    mixes = product(
        (0, 60), ((), ("stored",), ("deleted",), ("lost", "stored"), ("lost",)), (False, True), (False, True)
    )
    for cost, states, is_late, is_open in mixes:
        task = history.downloading(alice)
        VideoFile.objects.filter(task=task).delete()
        for index, state in enumerate(states):
            VideoFile.objects.create(
                task=task, index=index, source_url="https://files.example/a.mp4", state=state,
                name=f"videos/{task.pk}" if state == "stored" else "", sha256="a", size_bytes=1,
            )  # fmt: skip
        ended = {} if is_open else {"status": "failed", "finished_at": task.created_at}
        with unguarded():
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
        found = kept(made)
        patch.setattr(paid_files, "MOST_NAMED", 100)
        assert {kind: set(tasks) for kind, tasks in differences(kept(made)).items()} == expected
    assert {one.kind.value: one.count for one in found.differences} == {k: len(v) for k, v in expected.items()}
    assert (found.delivered, found.files, found.deleted) == (16, 16, 8)


def new_job(user: User) -> Spend:
    """A job that is no video's."""
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    return spend.estimate(job_id=job_id("job:1"), user=user, quote=quote)


def test_it_asks_the_database_equally_often_however_many_videos_there_are(made: ProviderAccount, alice: User) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            task = history.failed(alice)
            Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
            history.ready(alice)
        with CaptureQueriesContext(connection) as queries:
            kept(made)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


# Answers about files


@pytest.fixture
def differing(made: ProviderAccount, alice: User) -> VideoTask:
    """Paid, and without a file."""
    task = history.failed(alice)
    Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
    provider_accounts.record_balance(account_id=made.pk, balance=Decimal(4940))
    return task


def explain(desk: Client, *references: str, kind: str = "paid_without_file", reason: str = "Never made") -> Any:  # noqa: F811
    return desk.post(PAGE, {"kind": kind, "references": references, "reason": reason}, follow=True)


def test_a_file_is_answered_on_the_page_and_agrees_from_then_on(
    desk: Client,  # noqa: F811
    differing: VideoTask,
    made: ProviderAccount,
    olga: User,
) -> None:
    html = desk.get(PAGE).text
    assert f'value="{differing.reference}" form="answer-paid_without_file"' in html
    assert 'class="chip chip-good">match' not in html
    done = explain(desk, differing.reference)
    assert done.redirect_chain == [(PAGE, 302)]
    text = said(done.text)
    assert "Decisions saved: 1." in text
    assert 'class="chip chip-good">match' in done.text
    assert "Never made · olga@example.com" in text
    assert f"/admin/videos/videotask/{differing.pk}/change/" in done.text
    one = FileAnswer.objects.get()
    assert (one.kind, one.reference, one.provider_credits) == ("paid_without_file", differing.reference, 60)
    assert (one.reason, one.actor) == ("Never made", olga)
    assert LogEntry.objects.get().change_message == f"{differing.reference}: Never made"
    found = kept(made)
    assert (found.agree, found.answered, found.answers) == (True, 1, [one])
    # The money itself is untouched.
    assert Spend.objects.get(job_id=differing.pk).actual == 60
    assert not ProviderEntry.objects.exists()


def test_only_what_differs_is_answered_and_only_once(desk: Client, differing: VideoTask, alice: User) -> None:  # noqa: F811
    sound = history.ready(alice)
    for references, kind in (
        ((sound.reference,), "paid_without_file"),
        ((differing.reference,), "missing"),
        ((differing.reference, sound.reference), "paid_without_file"),
        (("videos/none.mp4",), "stray"),
        ((differing.reference,), "nonsense"),
    ):
        assert "One of these was decided or repaired in the meantime." in explain(desk, *references, kind=kind).text
    assert "Select at least one file." in explain(desk).text
    assert not FileAnswer.objects.exists()
    explain(desk, differing.reference)
    assert "One of these was decided" in explain(desk, differing.reference, reason="Again").text
    assert FileAnswer.objects.get().reason == "Never made"


def test_without_a_reason_nothing_is_answered_and_the_choice_stays(desk: Client, differing: VideoTask) -> None:  # noqa: F811
    html = explain(desk, differing.reference, reason=" ").text
    assert "This field is required." in html
    assert '<details class="file-answer" open>' in html
    assert re.search(rf'value="{differing.reference}"[^>]* checked', html)
    assert not FileAnswer.objects.exists()


def test_only_who_may_correct_may_answer_about_files(clerk: Callable[..., Client], differing: VideoTask) -> None:
    reader = clerk("view_providerentry")
    assert "Paid, but there is no file" in reader.get(PAGE).text
    assert "file-answer" not in reader.get(PAGE).text
    assert explain(reader, differing.reference).status_code == 403
    assert explain(Client(enforce_csrf_checks=True), differing.reference).status_code == 403
    assert not FileAnswer.objects.exists()


def test_files_that_are_gone_or_nobodys_are_answered_for_the_books_as_well(
    desk: Client,  # noqa: F811
    made: ProviderAccount,
    alice: User,
) -> None:
    task = history.ready(alice)
    media_store.delete(VideoFile.objects.get(task=task).name)
    stray = Path(media_store.local_path("videos/2020/01/stray.mp4") or "")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"nobody's")
    os.utime(stray, (0, 0))
    provider_accounts.record_balance(account_id=made.pk, balance=Decimal(4940))
    assert {(one.invariant, one.reference) for one in audit_runner.run_audit().problems} >= {
        ("I7", task.reference),
        ("I15", "videos/2020/01/stray.mp4"),
    }
    explain(desk, task.reference, kind="missing", reason="The disk broke")
    text = said(explain(desk, "videos/2020/01/stray.mp4", kind="stray", reason="From a copy").text)
    assert "From a copy" in text
    assert "The disk broke" in text
    assert "Files match" in text
    assert not {one for one in audit_runner.run_audit().problems if one.invariant in ("I7", "I15")}


# What an address may ask for


def test_a_stretch_has_its_bounds_and_what_was_typed_stays(desk: Client, purse: Purse) -> None:  # noqa: F811
    gone(purse)
    assert "choose at most" not in desk.get(f"{PAGE}?begin=2026-06-02&end=2026-09-01").text
    html = desk.get(f"{PAGE}?begin=2026-06-01&end=2026-09-01").text
    assert "This is too long to compare at once: choose at most 92 days." in html
    assert 'value="2026-06-01"' in html
    assert 'value="2026-09-01"' in html
    for query in ("begin=2026-01-01&end=9999-12-31", "begin=0001-01-01&end=2026-01-01", "end=2026-01-01"):
        assert "errorlist" in desk.get(f"{PAGE}?{query}").text, query
    for account_id in ("²", "9" * 30, "9" * 5000):
        assert desk.get(PAGE, {"account": account_id}).status_code == 200
