"""The dashboard in a real Chromium: accessible, in both themes, on a phone, in print, and reloading without jumps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.models import BooksRun
from billing.provider import accounts as provider_accounts
from tests.billing import generated_history
from tests.browser.test_pages import find_violations
from tests.browsing import DESKTOP, PHONE, NewPage, measure_overflow
from tests.clocks import ManualClock
from tests.people import make_person
from videos.models import JobRequest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AFTERNOON = datetime(2026, 9, 2, 14, 20, tzinfo=UTC)
OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true; })"


@pytest.fixture
def afternoon(settings: Settings) -> Iterator[datetime]:
    """A Wednesday afternoon."""
    settings.STAFF_MFA_REQUIRED = False
    manual_clock = ManualClock()
    manual_clock.at = AFTERNOON
    with clock.replaced(manual_clock):
        yield AFTERNOON


@pytest.fixture
def week_of_videos(afternoon: datetime) -> datetime:
    """A week of videos, with alerts, a worker and balanced books."""
    generated_history.generate(
        at=afternoon, days=7, a_day=40, users=[make_person(f"person{number}@example.com") for number in range(4)]
    )
    JobRequest.objects.create(name="canary", started_at=afternoon)
    BooksRun.objects.create(at=afternoon - timedelta(minutes=2), took_s=1, problems=0)
    alerts.raise_alert(alerts.Kind.BUDGET_SOFT, cause="all:day 10000")
    alerts.raise_alert(alerts.Kind.STORAGE, cause="media")
    return afternoon


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible(
    week_of_videos: datetime, olga: User, new_page: NewPage, scheme: str, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for query in ("", "?range=7d", "?from=soon&to=2026-09-02"):
        page.goto(f"/admin/{query}")
        assert find_violations(page, preload=False) == [], query
    page.goto("/admin/")
    page.evaluate(OPEN_ALL)
    assert find_violations(page, preload=False) == []


def test_the_empty_page_is_accessible(afternoon: datetime, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga, reduced_motion="reduce")
    page.goto("/admin/")
    expect(page.get_by_text("Three steps to get started")).to_be_visible()
    assert find_violations(page, preload=False) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1100, 1440])
def test_nothing_is_wider_than_the_window(week_of_videos: datetime, olga: User, new_page: NewPage, width: int) -> None:
    page = new_page(user=olga, viewport=(width, 800))
    for query in ("", "?range=30d", "?range=year"):
        page.goto(f"/admin/{query}")
        assert measure_overflow(page) <= 0, query
        page.evaluate(OPEN_ALL)
        assert measure_overflow(page) <= 0, f"{query}, all open"


def test_a_phone_shows_a_separate_chart_and_a_table(week_of_videos: datetime, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga, viewport=PHONE)
    page.goto("/admin/")
    charts = page.get_by_role("img", name="Estimate and actual by hour")
    expect(charts).to_have_count(1)
    label = charts.locator("text").first.bounding_box()
    assert label is not None
    assert label["height"] >= 9
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("table").first).to_contain_text("14:00")


def test_the_live_part_reloads_and_nothing_else_moves(week_of_videos: datetime, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga)
    page.goto("/admin/")
    page.evaluate("window.sameDocument = true")
    page.get_by_text("As a table").first.click()
    position_before = page.locator("#timeline-title").bounding_box()
    provider_accounts.pause_account(
        account_id=provider_accounts.get_current_account().pk, actor=olga, reason="We look at the costs"
    )
    # The same request as that of the 30-second timer.
    page.evaluate("htmx.ajax('GET', '/admin/', {source: '#board-now', swap: 'outerHTML', select: '#board-now'})")
    expect(page.locator("#headline")).to_contain_text("Paused by olga@example.com")
    expect(page.locator("#headline-action")).to_have_text("Resume…")
    assert page.evaluate("window.sameDocument") is True
    expect(page.get_by_role("table").first).to_be_visible()
    position_after = page.locator("#timeline-title").bounding_box()
    assert position_before is not None
    assert position_after is not None
    assert abs(position_before["y"] - position_after["y"]) <= 2


def test_generation_is_paused_and_resumed_from_the_dashboard(
    week_of_videos: datetime, olga: User, new_page: NewPage
) -> None:
    alerts.resolve_alerts(alerts.Kind.BUDGET_SOFT)
    page = new_page(user=olga)
    page.goto("/admin/")
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_url("**/admin/")
    expect(page.locator("#headline")).to_contain_text("Paused by olga@example.com since")
    page.get_by_role("button", name="Resume…").click()
    page.get_by_role("button", name="Resume", exact=True).click()
    page.wait_for_url("**/admin/")
    expect(page.locator("#headline")).to_contain_text("Generating normally.")


def test_typed_dates_are_used_and_invalid_ones_get_an_error(
    week_of_videos: datetime, olga: User, new_page: NewPage
) -> None:
    page = new_page(user=olga)
    page.goto("/admin/")
    page.get_by_text("Dates", exact=True).click()
    page.get_by_label("From").fill("2026-08-30")
    page.get_by_label("To, included").fill("2026-13-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("To, included")).to_have_value("2026-13-01")
    expect(page.get_by_text("“2026-13-01” is not a date")).to_be_visible()
    page.get_by_label("To, included").fill("2026-09-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("30 Aug 2026 – 1 Sep 2026").first).to_be_visible()


def test_the_print_version_is_white_and_without_controls(
    week_of_videos: datetime, olga: User, new_page: NewPage
) -> None:
    User.objects.filter(pk=olga.pk).update(theme="dark")
    page = new_page(user=olga)
    page.goto("/admin/")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for selector in ("header.top", ".board-tools", "#headline-action", ".tables"):
        expect(page.locator(selector).first).to_be_hidden()
    expect(page.get_by_role("img", name="Estimate and actual by hour")).to_be_visible()
    assert "rgb(51, 51, 51)" in page.evaluate("getComputedStyle(document.querySelector('.bar-actual')).fill")
