"""The figures, tables, links and actions of the dashboard."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.costs import rollups
from billing.models import BooksRun, Measure, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.billing.operator_pages.dashboard_page import AT, count_order, read_headline, read_page_text, use_budget
from videos.models import VideoTask

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fixed_time")]


def test_figures_are_those_of_the_range(staff: Client, working_account: ProviderAccount, alice: User) -> None:
    history.make_ready(alice)
    history.make_failed(alice)
    history.make_cancelled(alice)
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    ProviderAccount.objects.update(unexplained=Decimal("-12.5"), unexplained_at=AT)
    text = read_page_text(staff)
    assert "Estimated today 180 3 videos" in text
    assert "refunds: all 2 made · files: 1 stored" in text
    assert "Unexplained −12.5" in text
    assert "Books balance" in text
    assert "alice@example.com 3 180" in text
    assert "Three steps" not in text
    before = read_page_text(staff, "?to=2026-08-31")
    assert "Estimated · 31 Aug 2026 0 0 videos" in before
    assert "No orders: 31 Aug 2026" in before


def test_wrong_refunds_and_files_are_counted_in_any_range(
    staff: Client, working_account: ProviderAccount, alice: User
) -> None:
    history.make_failed(alice)
    history.make_ready(alice)
    first = [{"invariant": "I1", "reference": f"credit account {number}", "text": "odd"} for number in range(50)]
    BooksRun.objects.create(at=AT, took_s=1, problems=1003, counts={"I1": 1000, "I3": 1, "I7": 2}, first_problems=first)
    for query in ("", "?to=2026-08-31"):
        text = read_page_text(staff, query)
        assert "1 video charged or refunded wrongly · 2 files missing or damaged" in text
        assert "made" not in text.partition("Unexplained")[2].partition("Reconciliation")[0]
    page = staff.get("/admin/").content.decode()
    assert '<a class="link" href="/admin/reconciliation/"><span class="text-bad">1 video charged' in page


def test_without_refunds_or_files_due_the_figures_say_so(staff: Client, working_account: ProviderAccount) -> None:
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    assert "no refunds due · no files expected" in read_page_text(staff)


def test_a_new_site_shows_the_first_steps(staff: Client) -> None:
    text = read_page_text(staff)
    assert "Three steps to get started" in text
    assert "The books have not been checked yet." in text
    assert "No open alerts." in text


def test_budgets_show_used_limit_state_and_forecast(
    staff: Client, working_account: ProviderAccount, alice: User, olga: User, settings: Settings
) -> None:
    settings.MONTHLY_COST_LIMIT = 0
    limits.set_limit(subject="user", period="day", user=alice, limit=Decimal(450), actor=olga)
    limits.set_limit(subject="model", period="hour", model="veo3", limit=Decimal(0), actor=olga)
    use_budget(400, scope=f"user:{alice.pk}")
    use_budget(400, "hour")
    for hours_ago in range(4):
        count_order(AT - timedelta(hours=hours_ago), credits=1200)
    text = read_page_text(staff)
    assert "This hour 400 of 1,000 · 40 % lasts until about 12:40 at this pace" in text
    assert "This month 0 · no limit a limit is recommended" in text
    assert f"User {alice.pk} · Today 400 of 450 · 88.9 % almost spent · lasts at this pace" in text
    assert "Veo 3.1 Quality · This hour 0 of 0 · 100 % spent · resets 13:00" in text


def test_videos_in_progress_are_listed_with_wait_reasons(
    staff: Client, working_account: ProviderAccount, alice: User
) -> None:
    history.make_generating(alice)
    task = history.make_waiting(alice)
    VideoTask.objects.filter(pk=task.pk).update(wait_code="own_slot", created_at=AT - timedelta(minutes=12))
    text = read_page_text(staff)
    assert "Waiting 1 the oldest was ordered 12 min ago 1 · other videos of the same user come first" in text
    assert "worker running" in text


def test_alerts_show_what_to_do_and_where_to_acknowledge(
    staff: Client, working_account: ProviderAccount, olga: User
) -> None:
    for number in range(8):
        newest_alert = alerts.raise_alert(alerts.Kind.STORAGE, cause=f"disk {number}", detail="full")
    html = staff.get("/admin/").content.decode()
    assert html.count("acknowledge or snooze") == 6
    assert "Free up disk space" in html
    assert "All open alerts" in html
    alerts.acknowledge(alert_id=newest_alert.pk, actor=olga)
    alerts.resolve_alerts(alerts.Kind.STORAGE)
    assert "No open alerts." in read_page_text(staff)


def test_failure_reasons_are_shown_as_texts(staff: Client, working_account: ProviderAccount, alice: User) -> None:
    history.make_failed(alice)
    counts = [(Measure.FAILURE, "content_policy", 2), (Measure.FAILURE, "new_code", 1), (Measure.FAILURE, "", 1)]
    rollups.record_counts(ordered_at=AT, model="veo3", user_id=alice.pk, labelled=counts)
    html = staff.get("/admin/").content.decode()
    assert "The prompt contains something that the provider&#x27;s rules do not allow." in html
    assert "new_code" in html
    assert "No reason was given." in html


def test_every_number_links_to_its_videos(
    staff: Client, working_account: ProviderAccount, alice: User, bob: User
) -> None:
    failed, ready = history.make_failed(alice), history.make_ready(bob)
    VideoTask.objects.filter(pk=failed.pk).update(failure_code="content_policy", prompt="a kite that failed")
    VideoTask.objects.filter(pk=ready.pk).update(prompt="a kite of Bob's")
    rollups.record_counts(
        ordered_at=AT, model="veo3", user_id=alice.pk, labelled=[(Measure.FAILURE, "content_policy", 1)]
    )
    html = staff.get("/admin/?range=7d").content.decode()
    links = {unescape(link) for link in re.findall(r'href="(/admin/videos/videotask/\?[^"]+)"', html)}
    filter_names = {frozenset(parse_qs(urlsplit(link).query)) - {"created_at__gte", "created_at__lt"} for link in links}
    assert {frozenset({name}) for name in ("model", "person", "failure", "status__exact")} < filter_names
    for link in links:
        page = staff.get(link)
        assert page.status_code == 200, link
        query = parse_qs(urlsplit(link).query)
        page_html = page.content.decode()
        if query.get("failure") == ["content_policy"] or query.get("person") == [str(alice.pk)]:
            assert "a kite that failed" in page_html
            assert "a kite of Bob" not in page_html


def test_an_unknown_person_filters_nothing(staff: Client, alice: User) -> None:
    history.make_waiting(alice)
    list_url = reverse("admin:videos_videotask_changelist")
    for person in ("nobody", "99999999", ""):
        assert "alice@example.com" in staff.get(f"{list_url}?person={person}").content.decode()
    assert "alice@example.com" not in staff.get(f"{list_url}?failure=audio").content.decode()


def test_invalid_dates_get_an_error_and_keep_their_text(staff: Client) -> None:
    html = staff.get("/admin/?from=<b>soon&to=2026-09-01").content.decode()
    assert 'value="&lt;b&gt;soon"' in html
    assert 'aria-invalid="true"' in html
    assert "is not a date. Write it like 2026-09-01." in html


def test_pausing_from_the_dashboard_returns_to_it(staff: Client, working_account: ProviderAccount) -> None:
    accounts = reverse("admin:billing_provideraccount_changelist")
    pause_form = {"action": "pause", "_selected_action": working_account.pk, "return_to": "dashboard"}
    confirmation_page = staff.post(accounts, pause_form).content.decode()
    assert 'name="return_to" value="dashboard"' in confirmation_page
    assert '<a class="btn" href="/admin/">' in confirmation_page
    confirmation = {"confirmed": "yes", "code": "cost"}
    response = staff.post(accounts, pause_form | confirmation)
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert read_headline(staff)[1] == "Resume…"
    response = staff.post(accounts, pause_form | {"action": "resume", "confirmed": "yes"})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert read_headline(staff)[1] == "Pause…"


def test_a_fragment_request_without_a_session_reloads_the_whole_page(db: None) -> None:
    response = Client().get("/admin/", headers={"HX-Request": "true"}, follow=True)
    assert response.headers["HX-Refresh"] == "true"


def test_alerts_of_one_kind_show_their_subjects(staff: Client) -> None:
    for item in ("veo3_lite 720p generate", "veo3_fast 4k generate"):
        alerts.raise_alert(alerts.Kind.PRICE_CHANGED, cause=item)
    alerts.raise_alert(
        alerts.Kind.UNUSUAL_SPEND, cause=f"provider account {provider_accounts.get_current_account().pk}"
    )
    page = staff.get("/admin/").text
    for item in ("Veo 3.1 Lite 720p · Video from text or frames", "Veo 3.1 Fast 4k · Video from text or frames"):
        assert f'alert-about">{item}</span>' in page
    assert page.count("alert-about") == 2


@pytest.mark.parametrize(("amount", "tone"), [("-12.5", "text-bad"), ("12.5", "text-warn"), ("4", "")])
def test_only_missing_credits_are_shown_in_red(staff: Client, amount: str, tone: str) -> None:
    provider_accounts.get_current_account()
    ProviderAccount.objects.update(unexplained=Decimal(amount))
    page = staff.get("/admin/").text
    formatted = amount.replace("-", "−")
    assert f'<p class="figure-value{" " if tone else ""}{tone}">{formatted}</p>' in page
