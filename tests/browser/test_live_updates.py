"""In Chromium: pages that update while they are open, dialogs and menus."""

import pytest
from playwright.sync_api import expect

from accounts.models import User
from tests.browsing import PHONE, NewPage
from tests.videos import media_files, video_states

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_media")]

WAIT_UNTIL_PLAYING = """video => new Promise(done => {
    const check = () => video.currentTime > 0.1 ? done(true) : setTimeout(check, 50);
    check();
})"""
PROMPT = "Paper boats drift down a rain-lit street, low tracking shot, soft rain to hear"


def test_a_video_becomes_ready_on_the_open_studio_page_and_polling_ends(new_page: NewPage, alice: User) -> None:
    task = video_states.make_generating(alice, PROMPT)
    page = new_page(user=alice)
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "shown=" in request.url else None)
    page.goto("/")
    page.evaluate("window.sameDocument = true")
    page.fill("#id_prompt", "typed while waiting")
    expect(page.locator(f"#job-{task.pk}")).to_be_visible()
    video_states.finish(task)
    expect(page.locator(f"#video-{task.pk} img")).to_be_visible(timeout=8000)
    expect(page.locator(".job")).to_have_count(0)
    assert page.evaluate("window.sameDocument") is True
    expect(page.locator("#id_prompt")).to_have_value("typed while waiting")
    count = len(polls)
    page.wait_for_timeout(4500)
    assert len(polls) == count


def test_a_gallery_tile_becomes_ready_in_place(new_page: NewPage, alice: User) -> None:
    ready_task, task = video_states.make_ready(alice), video_states.make_generating(alice)
    page = new_page(user=alice)
    page.goto("/videos/")
    expect(page.locator(f"#video-{task.pk} .poster")).to_contain_text("Generating")
    video_states.finish(task)
    expect(page.locator(f"#video-{task.pk} img")).to_be_visible(timeout=8000)
    expect(page.locator(f"#video-{ready_task.pk} img")).to_be_visible()


def test_the_video_page_plays_the_finished_video(new_page: NewPage, alice: User) -> None:
    task = video_states.make_generating(alice)
    page = new_page(user=alice)
    page.goto(f"/videos/{task.pk}/")
    expect(page.locator(".stage")).to_contain_text("Generating")
    video_states.finish(task, media_files.make_video(duration_s=2))
    video = page.locator("video")
    expect(video).to_be_visible(timeout=8000)
    video.evaluate("video => { video.muted = true; return video.play(); }")
    video.evaluate(WAIT_UNTIL_PLAYING)
    page.goto("/videos/")
    page.hover(f"#video-{task.pk} .poster")
    page.locator(".poster video").evaluate(WAIT_UNTIL_PLAYING)
    page.mouse.move(0, 0)
    expect(page.locator(".poster video")).to_have_count(0)


def test_deleting_asks_in_a_dialog_that_escape_closes(new_page: NewPage, alice: User) -> None:
    task = video_states.make_ready(alice)
    page = new_page(user=alice)
    page.goto(f"/videos/{task.pk}/")
    page.click("[data-dialog]")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    page.click("[data-dialog]")
    page.click("dialog .btn-danger")
    page.wait_for_url("**/videos/")
    expect(page.locator(f"#video-{task.pk}")).to_have_count(0)


def test_the_account_menu_closes_on_escape_and_on_a_click_elsewhere(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice, viewport=PHONE)
    page.goto("/videos/")
    menu = page.locator("details.menu .menu-sheet")
    page.click("summary.avatar")
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(page.locator("summary.avatar")).to_be_focused()
    page.click("summary.avatar")
    page.mouse.click(20, 400)
    expect(menu).to_be_hidden()
