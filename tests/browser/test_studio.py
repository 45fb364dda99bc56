"""The studio in Chromium: prices, images, hints, and ordering without JavaScript."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.models import User
from billing.credits import ledger
from tests.browsing import NewPage
from tests.people import give_credits
from tests.videos import video_states
from videos.models import VideoTask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_media")]

PROMPT = "Paper boats drift down a rain-lit street, low tracking shot, soft rain to hear"


def test_the_price_is_updated_with_every_choice(new_page: NewPage, alice: User) -> None:
    give_credits(alice, 100)
    page = new_page(user=alice)
    page.goto("/")
    expect(page.locator("#pay")).to_contain_text("60 credits")
    page.locator("label", has=page.locator("#id_resolution_1080p")).click()
    expect(page.locator("#pay")).to_contain_text("65 credits")
    expect(page.locator("#pay")).to_contain_text("leaves 35")
    page.locator("label", has=page.locator("#id_model_veo3")).click()
    expect(page.locator("#pay")).to_contain_text("155 credits short")
    page.locator("label", has=page.locator("#id_mode_reference")).click()
    expect(page.locator("#id_model_veo3")).to_have_count(0)
    expect(page.locator("#choices")).to_contain_text("Reference images work with Fast and Lite")


def test_a_double_click_makes_one_video(new_page: NewPage, alice: User) -> None:
    give_credits(alice, 200)
    page = new_page(user=alice)
    page.goto("/")
    page.fill("#id_prompt", PROMPT)
    page.dblclick("#make")
    page.wait_for_url("**/?from=*")
    expect(page.locator(".job")).to_have_count(1)
    assert VideoTask.objects.count() == 1
    assert ledger.balance_of(alice) == 140


def test_a_chosen_image_is_shown_and_can_be_removed(new_page: NewPage, alice: User, tmp_path: Path) -> None:
    give_credits(alice, 100)
    (tmp_path / "frame.png").write_bytes(video_states.make_png())
    (tmp_path / "notes.png").write_text("no image")
    page = new_page(user=alice)
    page.goto("/")
    page.fill("#id_prompt", PROMPT)
    page.locator("label", has=page.locator("#id_mode_first")).click()
    page.set_input_files("#file-first", tmp_path / "notes.png")
    expect(page.locator("#slot-first .errorlist")).to_be_visible()
    page.set_input_files("#file-first", tmp_path / "frame.png")
    preview = page.locator("#slot-first img")
    expect(preview).to_be_visible()
    assert preview.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.click("#slot-first .slot-remove")
    expect(page.locator("#file-first")).to_be_attached()
    page.set_input_files("#file-first", tmp_path / "frame.png")
    expect(preview).to_be_visible()
    page.click("#make")
    page.wait_for_url("**/?from=*")
    assert VideoTask.objects.get().task_images.count() == 1
    expect(page.locator("#id_prompt")).to_have_value(PROMPT)


def test_a_typed_prompt_survives_a_reload(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice)
    page.goto("/")
    page.locator("#id_prompt").press_sequentially("A fox in the snow")
    page.goto("/credits/")
    page.goto("/")
    expect(page.locator("#id_prompt")).to_have_value("A fox in the snow")
    expect(page.locator("#prompt-count")).to_have_text("5 words")


def test_hints_detect_what_the_prompt_contains_and_add_what_is_missing(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice)
    page.goto("/?example=lighthouse")
    detected = page.locator("#hints .is-covered")
    expect(detected).to_have_count(5)
    page.fill("#id_prompt", "a fox")
    expect(detected).to_have_count(0)
    page.click("#hints button[data-hint=camera]")
    expect(page.locator("#id_prompt")).to_have_value("a fox, slow dolly in")
    expect(page.locator("#hints button[data-hint=camera]")).to_have_class("is-covered")


def test_a_video_is_ordered_and_cancelled_without_javascript(new_page: NewPage, alice: User) -> None:
    give_credits(alice, 100)
    page = new_page(user=alice, java_script_enabled=False)
    page.goto("/")
    page.fill("#id_prompt", PROMPT)
    page.check("#id_model_veo3_lite", force=True)
    page.click("#make")
    assert "/?from=" in page.url
    task = VideoTask.objects.get()
    assert (task.model, ledger.balance_of(alice)) == ("veo3_lite", 70)
    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    page.click(f"#job-link-{task.pk}")
    page.click("#cancel")
    expect(page.locator("main")).to_contain_text("Cancelled. 30 credits refunded.")
    assert ledger.balance_of(alice) == 100
