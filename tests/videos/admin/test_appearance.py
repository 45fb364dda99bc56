"""The operators' pages in a real browser: our design in both themes and on a phone, without CSP errors and overflow.

A violation of the Content-Security-Policy is a console error, and `new_page` fails on those.
"""

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.provider import accounts as provider_accounts
from tests.browsing import DESKTOP, PHONE, NewPage, measure_overflow
from tests.videos.admin.operator_pages import unconfirmed_video
from tests.videos.world import World
from videos.models import JobRequest, VideoTask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DARK, LIGHT = "rgb(12, 13, 16)", "rgb(246, 245, 242)"


@pytest.fixture
def lost_video(world: World, alice: User, settings: Settings) -> VideoTask:
    """An unconfirmed video among others, an alert, and a running worker."""
    settings.STAFF_MFA_REQUIRED = False
    world.order(alice)
    world.run()
    task = unconfirmed_video(world, alice)
    world.order(alice)
    alerts.raise_alert(alerts.Kind.UNCONFIRMED, cause=task.reference, reference=task.reference)
    JobRequest.objects.create(name="canary", started_at=clock.now())
    return task


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_operators_pages_use_our_design(
    lost_video: VideoTask, olga: User, new_page: NewPage, theme: str, viewport: tuple[int, int]
) -> None:
    User.objects.filter(pk=olga.pk).update(theme=theme)
    # The device has the opposite theme: the user's setting decides.
    page = new_page(user=olga, viewport=viewport, color_scheme="light" if theme == "dark" else "dark")
    for path in (
        "/admin/",
        "/admin/videos/videotask/",
        f"/admin/videos/videotask/{lost_video.pk}/change/",
        f"/admin/videos/videotask/{lost_video.pk}/history/",
        "/admin/videos/callbackreceipt/",
        "/admin/accounts/user/",
        f"/admin/accounts/user/{olga.pk}/change/",
        "/admin/django_q/failure/",
    ):
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        assert measure_overflow(page) <= 0, path
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == (DARK if theme == "dark" else LIGHT), path
        accent = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')")
        assert "ffb547" in accent, path
        assert "Inter" in page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily")


def test_an_operator_marks_an_unconfirmed_video_as_lost(
    lost_video: VideoTask, world: World, olga: User, new_page: NewPage
) -> None:
    page = new_page(user=olga)
    page.goto("/admin/")
    page.get_by_role("link", name="A paid request is unconfirmed").click()
    page.get_by_role("button", name="Mark unconfirmed as lost").click()
    expect(page.get_by_text("60 credits will be refunded to alice@example.com.")).to_be_visible()
    page.get_by_role("button", name="Mark unconfirmed as lost").click()
    expect(page.get_by_text("Marked as lost; 60 credits refunded to alice@example.com.")).to_be_visible()
    expect(page.get_by_text("by olga@example.com")).to_be_visible()
    world.assert_refunded(lost_video)


def test_several_videos_are_cancelled_from_the_list(
    lost_video: VideoTask, world: World, olga: User, alice: User, new_page: NewPage
) -> None:
    second = world.order(alice)
    page = new_page(user=olga)
    page.goto("/admin/videos/videotask/?status__exact=queued")
    page.get_by_label("Select all objects on this page for an action").check()
    page.get_by_label("Action:").select_option("cancel_with_refund")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_text("Nothing was sent, so it costs us nothing.")).to_have_count(2)
    page.get_by_role("button", name="Cancel with refund").click()
    expect(page.get_by_text("Cancelled; 60 credits refunded")).to_have_count(2)
    world.assert_refunded(second)


def test_the_dashboard_shows_the_state_and_the_cost_of_today(
    lost_video: VideoTask, olga: User, new_page: NewPage
) -> None:
    page = new_page(user=olga)
    page.goto("/admin/")
    expect(page.get_by_text("Generating normally.")).to_be_visible()
    figures = page.locator(".figure").all_inner_texts()
    assert [text.split("\n")[0] for text in figures] == [
        "Provider balance",
        "Estimated today",
        "Actual today",
        "Unexplained",
    ]
    assert "warn 1,000 · stop 500" in figures[0]
    assert figures[1].split()[2:5] == ["180", "3", "videos"]
    assert figures[2].split()[2] == "60"
    provider_accounts.pause_account(
        account_id=provider_accounts.get_current_account().pk, actor=olga, reason="Prices are being changed."
    )
    page.reload()
    expect(page.locator("#headline")).to_contain_text("Paused by olga@example.com")
    expect(page.locator("#headline")).to_contain_text("Prices are being changed")
    JobRequest.objects.all().delete()
    page.reload()
    expect(page.get_by_text("no worker")).to_be_visible()
