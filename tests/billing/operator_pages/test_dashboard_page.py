"""The operators' first page: its sentence, what it links to, its files, and how little it asks of the database."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.common.periods import window_at
from billing.costs import rollups
from billing.guard import circuit_breaker
from billing.models import BooksRun, Budget, BudgetWindow, Measure, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing import history, weeks
from tests.billing.conftest import SetClock, browser_of
from tests.people import make_person
from videos.models import JobRequest, VideoTask
from videos.templatetags import veo

pytestmark = pytest.mark.django_db

AT = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)
Pause = ProviderAccount.Pause


@pytest.fixture(autouse=True)
def _now(still: SetClock, settings: Settings) -> None:
    still.at = AT
    settings.TIME_ZONE = "UTC"


@pytest.fixture
def working(account: ProviderAccount) -> ProviderAccount:
    """A worker that lives, an account with 5,000 credits."""
    JobRequest.objects.create(name="canary", started_at=AT)
    return account


def order(at: datetime = AT, *, credits: int = 60, model: str = "veo3_fast", user_id: int = 1) -> None:
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, credits)]
    rollups.record_counts(ordered_at=at, model=model, user_id=user_id, counts=counts)


def use(used: int, period: str = "day", scope: str = "all") -> None:
    one = window_at(period, AT)
    BudgetWindow.objects.create(scope=scope, period=period, starts_at=one.starts_at, ends_at=one.ends_at, used=used)


def text_of(desk: Client, query: str = "") -> str:
    page = desk.get(f"/admin/{query}")
    assert page.status_code == 200
    plain = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", page.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(plain).split())


def verdict_of(desk: Client) -> tuple[str, str]:
    """The sentence, and what is to be done."""
    html = desk.get("/admin/").content.decode()
    sentence = re.search(r'<p id="verdict">(.*?)</p>', html, re.DOTALL)
    act = re.search(r'id="verdict-act"[^>]*>(.*?)<', html, re.DOTALL)
    assert sentence
    return " ".join(unescape(re.sub("<[^>]+>", " ", sentence[1])).split()), unescape(act[1]) if act else ""


# --- The sentence -----------------------------------------------------------------------------------------------------


def test_all_is_well(desk: Client, working: ProviderAccount) -> None:
    assert verdict_of(desk) == ("Generating normally. Nothing was ordered in the last 24 hours.", "Pause…")


def test_it_says_which_budget_ends_first_and_until_when_the_balance_lasts(
    desk: Client, working: ProviderAccount, settings: Settings
) -> None:
    settings.HOURLY_COST_LIMIT, settings.DAILY_COST_LIMIT, settings.MONTHLY_COST_LIMIT = 0, Decimal(10_000), 0
    for hours_ago in range(1, 5):
        order(AT - timedelta(hours=hours_ago), credits=600)
    use(7_000)
    sentence, act = verdict_of(desk)
    # 3,000 are left at nearly 500 an hour.
    assert "At this pace, today's budget lasts until about" in sentence
    assert "The provider balance lasts until about" in sentence
    assert act == "Pause…"
    Budget.objects.all().delete()
    settings.DAILY_COST_LIMIT = Decimal(100_000)
    assert "At this pace, all budgets last." in verdict_of(desk)[0]
    settings.DAILY_COST_LIMIT = 0
    assert "budget" not in verdict_of(desk)[0]


def test_a_balance_that_lasts_for_weeks(desk: Client, working: ProviderAccount) -> None:
    order(AT - timedelta(hours=23), credits=1)
    assert "The provider balance lasts for weeks." in verdict_of(desk)[0]


def test_without_a_key_one_is_to_be_given(desk: Client, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    sentence, act = verdict_of(desk)
    assert sentence.startswith("Not generating. There is no provider key")
    assert act == "Add a key…"


def test_a_pause_says_who_when_why_and_until_when(desk: Client, working: ProviderAccount, olga: User) -> None:
    provider_accounts.pause_account(account_id=working.pk, actor=olga, reason="Prices are being changed.")
    sentence, act = verdict_of(desk)
    assert sentence.startswith("Paused by olga@example.com since 12:20. Prices are being changed. It stays paused")
    assert "It stays paused until an operator resumes it." in sentence
    assert act == "Resume…"
    until = AT + timedelta(hours=1)
    provider_accounts.pause_account(account_id=working.pk, actor=olga, code=Pause.MAINTENANCE, until=until)
    assert "It resumes automatically at 13:20." in verdict_of(desk)[0]


def test_a_pause_whose_time_is_over_stops_nothing(
    desk: Client, working: ProviderAccount, olga: User, still: SetClock
) -> None:
    provider_accounts.pause_account(account_id=working.pk, actor=olga, code=Pause.COST, until=AT + timedelta(minutes=1))
    still.at += timedelta(minutes=1, seconds=5)
    assert verdict_of(desk)[0].startswith("Generating normally.")


def test_the_watch_over_spending_says_what_it_saw(desk: Client, working: ProviderAccount) -> None:
    note = "2,000 credits ordered this hour, usual are 300"
    provider_accounts.pause_account(account_id=working.pk, actor=None, code=Pause.UNUSUAL_SPEND, reason=note)
    sentence, act = verdict_of(desk)
    assert sentence.startswith(f"Paused by the spending monitor since 12:20. {note}")
    assert act == "Resume…"


@pytest.mark.parametrize(
    ("parked", "words", "act"),
    [
        ("out_of_credits", "The provider reports that our account has no credits left.", "Top up at the provider"),
        ("access_denied", "The provider rejects our key or IP address.", "View the key"),
    ],
)
def test_a_parked_account(desk: Client, working: ProviderAccount, parked: str, words: str, act: str) -> None:
    ProviderAccount.objects.update(source=ProviderAccount.Source.ENVIRONMENT)
    provider_accounts.park_account(account_id=working.pk, parked_as=ProviderAccount.Parked(parked), detail="402")
    sentence, offered = verdict_of(desk)
    assert sentence.startswith(f"Not generating. {words}")
    assert offered in (act, "View the account")


def test_a_critical_balance_and_one_that_is_promised_away(desk: Client, working: ProviderAccount) -> None:
    provider_accounts.record_balance(account_id=working.pk, balance=Decimal("499.5"))
    assert verdict_of(desk)[0].startswith("Not generating. The provider balance is 499.5; new videos stop at 500.")
    provider_accounts.record_balance(account_id=working.pk, balance=Decimal(900))
    assert verdict_of(desk)[0].startswith("Generating. The provider balance is low")


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("hour", "This hour's budget is spent: 1,000 of 1,000. The next one starts 13:00."),
        ("day", "Today's budget is spent: 10,000 of 10,000. The next one starts tomorrow 00:00."),
        ("month", "This month's budget is spent: 200,000 of 200,000. The next one starts 1 Oct."),
    ],
)
def test_a_spent_budget_says_when_it_starts_anew(
    desk: Client, working: ProviderAccount, settings: Settings, period: str, words: str
) -> None:
    name = {"hour": "HOURLY", "day": "DAILY", "month": "MONTHLY"}[period]
    use(int(getattr(settings, f"{name}_COST_LIMIT")), period)
    sentence, act = verdict_of(desk)
    assert sentence.startswith(f"Waiting for the next budget. {words}")
    assert act == "Raise the budget…"


def test_a_budget_that_is_almost_spent(desk: Client, working: ProviderAccount) -> None:
    use(8_100)
    sentence, act = verdict_of(desk)
    assert sentence.startswith("Generating; a budget is almost spent.")
    assert act == "Raise the budget…"


def test_without_a_worker(desk: Client, account: ProviderAccount) -> None:
    sentence, act = verdict_of(desk)
    assert sentence.startswith("Not generating. No worker is running")
    assert "manage.py worker" in sentence
    assert act == ""


def test_an_open_breaker_says_what_it_saw_and_when_it_tries_again(desk: Client, working: ProviderAccount) -> None:
    ProviderAccount.objects.update(breaker="open", breaker_until=AT + timedelta(minutes=2))
    assert "The provider has trouble. We retry automatically at 12:22" in verdict_of(desk)[0]
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause=working.cause, detail="5 of 10 calls failed.")
    sentence, act = verdict_of(desk)
    assert sentence.startswith("Waiting for the provider. The provider has trouble: 5 of 10 calls failed.")
    assert act == "View the account"
    ProviderAccount.objects.update(breaker="half_open")
    assert "We retry automatically, starting with a free request." in verdict_of(desk)[0]
    circuit_breaker.record_success(working.pk)
    assert verdict_of(desk)[0].startswith("Generating normally.")


def test_a_balance_that_was_never_read(desk: Client) -> None:
    provider_accounts.get_current_account()
    JobRequest.objects.create(name="canary", started_at=AT)
    assert verdict_of(desk)[0].startswith("Starting up. The provider balance has not been read yet")


# --- Figures and tables -----------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_range(desk: Client, working: ProviderAccount, alice: User) -> None:
    history.ready(alice)
    history.failed(alice)
    history.cancelled(alice)
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    ProviderAccount.objects.update(unexplained=Decimal("-12.5"), unexplained_at=AT)
    text = text_of(desk)
    assert "Estimated today 180 3 videos" in text
    assert "refunds: all 2 made · files: 1 stored" in text
    assert "Unexplained −12.5" in text
    assert "Books balance" in text
    assert "alice@example.com 3 180" in text
    assert "Three steps" not in text
    before = text_of(desk, "?to=2026-08-31")
    assert "Estimated · 31 Aug 2026 0 0 videos" in before
    assert "No orders: 31 Aug 2026" in before


def test_what_is_wrong_with_refunds_and_files_is_counted_by_itself_however_long_ago(
    desk: Client, working: ProviderAccount, alice: User
) -> None:
    history.failed(alice)
    history.ready(alice)
    first = [{"invariant": "I1", "reference": f"credit account {number}", "text": "odd"} for number in range(50)]
    BooksRun.objects.create(at=AT, took_s=1, problems=1003, counts={"I1": 1000, "I3": 1, "I7": 2}, first_problems=first)
    for query in ("", "?to=2026-08-31"):
        text = text_of(desk, query)
        assert "1 video charged or refunded wrongly · 2 files missing or damaged" in text
        assert "made" not in text.partition("Unexplained")[2].partition("Reconciliation")[0]
    page = desk.get("/admin/").content.decode()
    assert '<a class="link" href="/admin/reconciliation/"><span class="text-bad">1 video charged' in page


def test_where_nothing_was_due_the_proof_says_so(desk: Client, working: ProviderAccount) -> None:
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    assert "no refunds due · no files expected" in text_of(desk)


def test_the_very_first_visit_teaches(desk: Client) -> None:
    text = text_of(desk)
    assert "Three steps to get started" in text
    assert "The books have not been checked yet." in text
    assert "No open alerts." in text


def test_budgets_say_used_of_limit_with_a_word_and_a_time(
    desk: Client, working: ProviderAccount, alice: User, olga: User, settings: Settings
) -> None:
    settings.MONTHLY_COST_LIMIT = 0
    limits.set_limit(subject="user", period="day", user=alice, limit=Decimal(450), actor=olga)
    limits.set_limit(subject="model", period="hour", model="veo3", limit=Decimal(0), actor=olga)
    use(400, scope=f"user:{alice.pk}")
    use(400, "hour")
    for hours_ago in range(4):
        order(AT - timedelta(hours=hours_ago), credits=1200)
    text = text_of(desk)
    assert "This hour 400 of 1,000 · 40 % lasts until about 12:40 at this pace" in text
    assert "This month 0 · no limit a limit is recommended" in text
    assert f"User {alice.pk} · Today 400 of 450 · 88.9 % almost spent · lasts at this pace" in text
    assert "Veo 3.1 Quality · This hour 0 of 0 · 100 % spent · resets 13:00" in text


def test_what_is_under_way_is_listed_with_its_reasons(desk: Client, working: ProviderAccount, alice: User) -> None:
    history.generating(alice)
    task = history.waiting(alice)
    VideoTask.objects.filter(pk=task.pk).update(wait_code="own_slot", created_at=AT - timedelta(minutes=12))
    text = text_of(desk)
    assert "Waiting 1 the oldest was ordered 12 min ago 1 · other videos of the same user come first" in text
    assert "worker running" in text


def test_alerts_say_what_to_do_and_where_to_acknowledge(desk: Client, working: ProviderAccount, olga: User) -> None:
    for number in range(8):
        last = alerts.raise_alert(alerts.Kind.STORAGE, cause=f"disk {number}", detail="full")
    html = desk.get("/admin/").content.decode()
    assert html.count("acknowledge or snooze") == 6
    assert "Make room on the disk" in html
    assert "All open alerts" in html
    alerts.acknowledge(alert_id=last.pk, actor=olga)
    alerts.resolve_alerts(alerts.Kind.STORAGE)
    assert "No open alerts." in text_of(desk)


def test_reasons_of_failure_are_in_plain_words_and_lead_to_the_videos(
    desk: Client, working: ProviderAccount, alice: User
) -> None:
    history.failed(alice)
    counts = [(Measure.FAILURE, "content_policy", 2), (Measure.FAILURE, "new_code", 1), (Measure.FAILURE, "", 1)]
    rollups.record_counts(ordered_at=AT, model="veo3", user_id=alice.pk, labelled=counts)
    html = desk.get("/admin/").content.decode()
    assert "The prompt touches something that the provider&#x27;s rules do not allow." in html
    assert "new_code" in html
    assert "No reason was given." in html


def test_every_number_leads_to_its_videos(desk: Client, working: ProviderAccount, alice: User, bob: User) -> None:
    failed, other = history.failed(alice), history.ready(bob)
    VideoTask.objects.filter(pk=failed.pk).update(failure_code="content_policy", prompt="a kite that failed")
    VideoTask.objects.filter(pk=other.pk).update(prompt="a kite of Bob's")
    rollups.record_counts(
        ordered_at=AT, model="veo3", user_id=alice.pk, labelled=[(Measure.FAILURE, "content_policy", 1)]
    )
    html = desk.get("/admin/?range=7d").content.decode()
    links = {unescape(link) for link in re.findall(r'href="(/admin/videos/videotask/\?[^"]+)"', html)}
    by_filter = {frozenset(parse_qs(urlsplit(link).query)) - {"created_at__gte", "created_at__lt"} for link in links}
    assert {frozenset({name}) for name in ("model", "person", "failure", "status__exact")} < by_filter
    for link in links:
        page = desk.get(link)
        assert page.status_code == 200, link
        query = parse_qs(urlsplit(link).query)
        shown = page.content.decode()
        if query.get("failure") == ["content_policy"] or query.get("person") == [str(alice.pk)]:
            assert "a kite that failed" in shown
            assert "a kite of Bob" not in shown


def test_a_person_who_is_none_filters_nothing_away(desk: Client, alice: User) -> None:
    history.waiting(alice)
    listed = reverse("admin:videos_videotask_changelist")
    for wanted in ("nobody", "99999999", ""):
        assert "alice@example.com" in desk.get(f"{listed}?person={wanted}").content.decode()
    assert "alice@example.com" not in desk.get(f"{listed}?failure=audio").content.decode()


def test_dates_that_are_none_are_said_and_kept(desk: Client) -> None:
    html = desk.get("/admin/?from=<b>soon&to=2026-09-01").content.decode()
    assert 'value="&lt;b&gt;soon"' in html
    assert 'aria-invalid="true"' in html
    assert "is not a date. Write it like 2026-09-01." in html


# --- Acts -------------------------------------------------------------------------------------------------------------


def test_a_pause_from_the_first_page_ends_there(desk: Client, working: ProviderAccount) -> None:
    accounts = reverse("admin:billing_provideraccount_changelist")
    pressed = {"action": "pause", "_selected_action": working.pk, "return_to": "dashboard"}
    asked = desk.post(accounts, pressed).content.decode()
    assert 'name="return_to" value="dashboard"' in asked
    assert '<a class="btn" href="/admin/">' in asked
    said = {"confirmed": "yes", "code": "cost"}
    done = desk.post(accounts, pressed | said)
    assert (done.status_code, done["Location"]) == (302, "/admin/")
    assert verdict_of(desk)[1] == "Resume…"
    done = desk.post(accounts, pressed | {"action": "resume", "confirmed": "yes"})
    assert (done.status_code, done["Location"]) == (302, "/admin/")
    assert verdict_of(desk)[1] == "Pause…"


def test_when_the_session_is_over_the_whole_page_asks_for_the_login(db: None) -> None:
    answer = Client().get("/admin/", headers={"HX-Request": "true"}, follow=True)
    assert answer.headers["HX-Refresh"] == "true"


# --- Files ------------------------------------------------------------------------------------------------------------

TABLES = ("timeline", "models", "users", "balance", "limits", "failures", "callbacks", "queue", "alerts")


def body(answer: object) -> str:
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_file(desk: Client, working: ProviderAccount, alice: User, name: str) -> None:
    history.failed(alice)
    history.waiting(alice)
    alerts.raise_alert(alerts.Kind.TEST)
    answer = desk.get(f"/admin/dashboard/export/{name}.csv?range=7d")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="veoapp-{name}-2026-08-26-2026-09-01.csv"'
    rows = list(csv.reader(io.StringIO(body(answer).removeprefix("\ufeff"))))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    found = json.loads(body(desk.get(f"/admin/dashboard/export/{name}.json?range=7d")))
    assert [list(row) for row in found["rows"]] == [rows[0]] * (len(rows) - 1)


def test_the_queue_s_file_says_how_long_videos_wait(desk: Client, working: ProviderAccount, alice: User) -> None:
    address = "/admin/dashboard/export/queue.json"
    history.waiting(alice)
    before = json.loads(body(desk.get(address)))["rows"]
    assert (before[0]["videos"], before[0]["wait_p50_s"], before[0]["wait_p95_s"]) == (1, None, None)
    waits = [(Measure.WAIT, "50", 18), (Measure.WAIT, "84", 2)]
    rollups.record_counts(ordered_at=AT, model="veo3_fast", user_id=alice.pk, labelled=waits)
    first, *others = json.loads(body(desk.get(address)))["rows"]
    assert first["status"] == "queued"
    assert 0 < first["wait_p50_s"] < first["wait_p95_s"]
    assert f"usually waits {veo.duration(first['wait_p50_s'])}" in text_of(desk)
    assert {(row["wait_p50_s"], row["wait_p95_s"]) for row in others} == {(None, None)}
    # Of another range what was waited in it.
    assert json.loads(body(desk.get(f"{address}?to=2026-08-31")))["rows"][0]["wait_p50_s"] is None


def test_an_address_that_is_a_formula_is_text_in_a_sheet(desk: Client, working: ProviderAccount) -> None:
    mallory = make_person("=cmd@example.com")
    order(user_id=mallory.pk)
    assert "'=cmd@example.com" in body(desk.get("/admin/dashboard/export/users.csv"))


def test_without_a_key_the_balance_is_an_empty_file(desk: Client, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert json.loads(body(desk.get("/admin/dashboard/export/balance.json")))["rows"] == []


@pytest.mark.parametrize("address", ["nothing.csv", "models.xml"])
def test_other_files_there_are_none(desk: Client, address: str) -> None:
    assert desk.get(f"/admin/dashboard/export/{address}").status_code == 404


def test_a_file_of_dates_that_are_none_says_so(desk: Client) -> None:
    answer = desk.get("/admin/dashboard/export/models.csv?from=soon")
    assert answer.status_code == 400
    assert "“soon” is not a date" in answer.content.decode()


def test_files_and_page_are_for_operators_only(alice: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    for client in (Client(), browser_of(alice)):
        for address in ("/admin/", "/admin/dashboard/export/users.csv"):
            assert client.get(address).status_code in (302, 403)


def test_an_operator_without_a_second_factor_gets_no_file(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = True
    assert browser_of(olga).get("/admin/dashboard/export/users.csv").status_code == 302


# --- Cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?range=30d", "?range=year"])
def test_a_dozen_queries_at_most_whatever_there_is(
    olga: User, settings: Settings, alice: User, query: str, new_spend: Callable[..., object]
) -> None:
    settings.STAFF_MFA_REQUIRED = False
    people = [make_person(f"person{number}@example.com") for number in range(25)]
    weeks.make(at=AT, days=9, users=people)
    JobRequest.objects.create(name="canary", started_at=AT)
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    history.generating(alice)
    for number in range(8):
        alerts.raise_alert(alerts.Kind.STORAGE, cause=f"disk {number}")
    limits.set_limit(subject="user", period="day", user=alice, limit=Decimal(100), actor=olga)
    desk = browser_of(olga)
    desk.get(f"/admin/{query}")
    with CaptureQueriesContext(connection) as captured:
        assert desk.get(f"/admin/{query}").status_code == 200
    asked = [one["sql"] for one in captured.captured_queries]
    # With the session, its person and their list of sessions; a second factor's proof is one more.
    assert len(asked) <= 11, "\n".join(asked)
    assert not [sql for sql in asked if "billing_ledgerentry" in sql]
    # Of jobs only those that are not settled, and those settled since the balance was read: each by an index.
    for read in (part for sql in asked for part in sql.split('FROM "billing_spend"')[1:]):
        assert any(narrow in read for narrow in ("'estimated'", "'promised'", '"settled_at" >')), read


@pytest.mark.parametrize("state", ["empty", "sandbox", "paused", "problems"])
def test_no_state_of_the_house_costs_more_queries(olga: User, settings: Settings, state: str) -> None:
    settings.STAFF_MFA_REQUIRED = False
    if state == "sandbox":
        settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", True
    account = provider_accounts.get_current_account()
    if state == "paused":
        provider_accounts.pause_account(account_id=account.pk, actor=olga, code=Pause.COST)
    if state == "problems":
        problem = {"invariant": "I3", "reference": "video:1", "text": "no refund"}
        BooksRun.objects.create(at=AT, took_s=1, problems=1, first_problems=[problem])
    desk = browser_of(olga)
    desk.get("/admin/")
    with CaptureQueriesContext(connection) as captured:
        page = desk.get("/admin/").content.decode()
    assert ("no refund" in page) == (state == "problems")
    assert ("Paused by olga@example.com" in page) == (state == "paused")
    assert len(captured) <= 11, "\n".join(one["sql"] for one in captured.captured_queries)
