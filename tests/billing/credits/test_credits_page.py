"""The credits page: balance, statement with filters, and the CSV download."""

import csv
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from accounts.models import User
from billing import views
from billing.credits import expired_lots, ledger, statements
from billing.models import CreditLot, LedgerEntry
from tests.billing import history
from tests.clocks import ManualClock
from tests.people import give_credits
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoTask

pytestmark = pytest.mark.django_db
PAGE = "/credits/"


@pytest.fixture
def credits_page(alice: User) -> Client:
    """A client signed in as Alice, for the credits page."""
    client = Client()
    client.force_login(alice)
    return client


def shown_amounts(credits_page: Client, **query: Any) -> list[int]:
    """The amounts of the entries on the page, from top to bottom."""
    return [entry.amount for entry in credits_page.get(PAGE, query).context["entries"]]


def test_anonymous_visitors_are_sent_to_the_sign_in_page(client: Client, db: None) -> None:
    assert client.get(PAGE)["Location"].startswith("/accounts/login/")


def test_the_statement_shows_only_the_user_s_own_entries(credits_page: Client, alice: User, bob: User) -> None:
    give_credits(bob, 7)
    history.make_cancelled(alice)
    response = credits_page.get(PAGE)
    assert response.context["balance"] == ledger.balance_of(alice) == 60
    assert shown_amounts(credits_page) == [60, -60, 60]
    assert "a kite" in response.text


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("videos", [-60]),
        ("refunds", [60]),
        ("received", [60]),
        ("other", [-5]),
        ("expired", []),
        ("nonsense", [-5, 60, -60, 60]),
    ],
)
def test_the_statement_is_filtered_by_kind(credits_page: Client, alice: User, kind: str, shown: list[int]) -> None:
    history.make_cancelled(alice)
    ledger.adjust(user=alice, user_credits=-5, idempotency_key="a", note="counted twice", actor=None)
    assert shown_amounts(credits_page, kind=kind) == shown
    assert ledger.balance_of(alice) == 55


def test_a_long_statement_has_pages(credits_page: Client, alice: User) -> None:
    for n in range(statements.PAGE_SIZE + 2):
        ledger.grant(user=alice, user_credits=n + 1, idempotency_key=f"g{n}", note="for a test")
    first = credits_page.get(PAGE)
    assert [entry.amount for entry in first.context["entries"]] == list(range(statements.PAGE_SIZE + 2, 2, -1))
    second = credits_page.get(f"{PAGE}?{first.context['older_query']}")
    assert [entry.amount for entry in second.context["entries"]] == [2, 1]
    assert second.context["older_query"] is None
    assert (
        len(shown_amounts(credits_page, before="x"))
        == len(shown_amounts(credits_page, before=10**30))
        == statements.PAGE_SIZE
    )


# The filter by days


@pytest.fixture
def september(alice: User, manual_clock: ManualClock) -> None:
    """Four grants of 1 to 4 credits: at noon UTC on 1 September, then at midnight UTC on the next three days."""
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    for n in range(1, 5):
        ledger.grant(user=alice, user_credits=n, idempotency_key=f"g{n}", note="for a test")
        manual_clock.sleep(12 * 3600 if n == 1 else 86400)


def test_the_statement_is_filtered_by_days_in_the_reader_s_zone(credits_page: Client, september: None) -> None:
    # Midnight UTC, when the second grant was made, is eight in the morning of the same day in Shanghai.
    assert shown_amounts(credits_page, since="2026-09-02", until="2026-09-03") == [3, 2]
    assert shown_amounts(credits_page, since="2026-09-04") == [4]
    assert shown_amounts(credits_page, until="2026-09-01") == [1]
    assert shown_amounts(credits_page, since="2026-09-02", until="2026-09-02", kind="videos") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"since": "soon"}, "Enter a valid date."),
        ({"until": "2026-02-30"}, "Enter a valid date."),
        ({"since": "0001-01-01"}, "greater than or equal to"),
        ({"until": "9999-12-31"}, "less than or equal to"),
        ({"since": "2026-09-03", "until": "2026-09-01"}, "The last day is before the first."),
    ],
)
def test_invalid_days_are_reported_and_filter_nothing(
    credits_page: Client, september: None, query: dict[str, str], message: str
) -> None:
    page = credits_page.get(PAGE, query)
    assert message in page.text
    assert len(page.context["entries"]) == 4


def test_links_keep_the_filters_and_an_empty_result_links_to_all_entries(credits_page: Client, september: None) -> None:
    query = {"kind": "videos", "since": "2026-09-01", "until": "2026-09-30"}
    text = credits_page.get(PAGE, query).text
    assert "No matching entries" in text
    assert 'href="/credits/?kind=refunds&amp;since=2026-09-01&amp;until=2026-09-30"' in text
    assert 'href="/credits/statement.csv?kind=videos&amp;since=2026-09-01&amp;until=2026-09-30"' in text
    assert 'value="2026-09-30"' in text


def test_an_empty_statement_explains_what_it_will_show(credits_page: Client) -> None:
    text = credits_page.get(PAGE).text
    assert "No entries yet" in text
    assert "Download CSV" not in text


# The text of an entry


def test_each_entry_shows_its_purpose_and_expiry(credits_page: Client, alice: User, manual_clock: ManualClock) -> None:
    task = history.make_waiting(alice)
    CreditLot.objects.update(expires_at=manual_clock.at + timedelta(days=1))
    manual_clock.sleep(2 * 86400)
    lifecycle.cancel(task_id=task.pk, code="user", actor=alice)
    text = " ".join(credits_page.get(PAGE).text.split())
    assert text.count(f'href="/videos/{task.pk}/"') == 2
    assert "its credits had expired, so they can be used until 10 Sep 12:00" in text
    assert "Grant · until 2 Sep 12:00" in text
    assert "refunded after they expired" in text
    manual_clock.sleep(8 * 86400)
    expired_lots.expire_due()
    text = credits_page.get(PAGE, {"kind": "expired"}).text
    assert "Not used before they expired" in text
    VideoTask.objects.filter(pk=task.pk).update(deleted_at=manual_clock.at)
    assert "Deleted video" in credits_page.get(PAGE).text
    assert ledger.balance_of(alice) == 0


def test_many_expiry_dates_are_summed_up(credits_page: Client, alice: User, manual_clock: ManualClock) -> None:
    give_credits(alice, 7)
    assert "They do not expire." in credits_page.get(PAGE).text
    for n in range(views.MAX_HOLDINGS + 1):
        ledger.grant(
            user=alice,
            user_credits=100,
            idempotency_key=f"d{n}",
            note="for a test",
            expires_at=manual_clock.at + timedelta(days=5 + n),
        )
    page = credits_page.get(PAGE)
    assert page.text.count("chip-warn") == 3
    assert (len(page.context["holdings"]), page.context["later_credits"]) == (views.MAX_HOLDINGS, 107)
    assert ledger.balance_of(alice) == 1307


# The CSV download


def download_csv(credits_page: Client, **query: str) -> list[list[str]]:
    response = credits_page.get(f"{PAGE}statement.csv", query)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="credits-2026-09-')
    return list(csv.reader(StringIO(b"".join(response).decode("utf-8-sig"))))


def test_the_csv_contains_the_filtered_statement(credits_page: Client, alice: User, manual_clock: ManualClock) -> None:
    task = history.make_cancelled(alice)
    ledger.grant(
        user=alice,
        user_credits=1500,
        idempotency_key="x",
        note="=cmd|'/c calc'!A1",
        expires_at=manual_clock.at + timedelta(days=9),
    )
    rows = download_csv(credits_page)
    assert rows[0] == ["When", "Kind", "What", "Credits", "Balance", "Valid until", "Video"]
    video = f"http://testserver/videos/{task.pk}/"
    assert rows[1] == ["2026-09-01 12:00:00", "Grant", "'=cmd|'/c calc'!A1", "1500", "1560", "2026-09-10 12:00:00", ""]
    assert rows[2] == ["2026-09-01 12:00:00", "Refund", task.prompt, "60", "60", "", video]
    assert rows[3] == ["2026-09-01 12:00:00", "Charge", task.prompt, "-60", "0", "", video]
    assert [row[3] for row in download_csv(credits_page, kind="videos")] == ["Credits", "-60"]
    assert len(download_csv(credits_page, until="2026-08-31")) == 1
    VideoTask.objects.filter(pk=task.pk).update(deleted_at=manual_clock.at)
    assert [row[2] for row in download_csv(credits_page)[2:4]] == ["Deleted video"] * 2
    assert ledger.balance_of(alice) == 1560


def test_the_csv_is_in_the_reader_s_language_and_zone(
    credits_page: Client, alice: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "BATCH_SIZE", 2)
    User.objects.filter(pk=alice.pk).update(language="zh-hans", time_zone="Asia/Shanghai")
    for _ in range(4):
        give_credits(alice, 1)
    with translation.override("en"):
        rows = download_csv(credits_page)
    assert [row[0] for row in rows[1:]] == ["2026-09-01 20:00:00"] * 4
    with translation.override("zh-hans"):
        kind = str(LedgerEntry.Kind.GRANT.label)
        assert rows[0][3] == str(statements.COLUMNS[3])
    assert {row[1] for row in rows[1:]} == {kind}
    assert [row[4] for row in rows[1:]] == ["4", "3", "2", "1"]


def test_the_csv_is_only_for_its_owner(
    client: Client, credits_page: Client, alice: User, bob: User, manual_clock: ManualClock
) -> None:
    give_credits(bob, 7)
    assert len(download_csv(credits_page)) == 1
    assert client.get(f"{PAGE}statement.csv")["Location"].startswith("/accounts/login/")
    assert credits_page.post(f"{PAGE}statement.csv").status_code == 405
    assert credits_page.get(f"{PAGE}expiring/hide/").status_code == 405
