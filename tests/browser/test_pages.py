"""The pages in a real Chromium. `new_page` fails each test whose console shows an error or a breach of the policy."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.credits import ledger
from tests.browsing import DESKTOP, PHONE, NewPage
from tests.people import give_credits
from tests.videos import films, takes
from videos.models import VideoTask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_media")]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PRESSABLE = "button, a.btn, a.chip, .dock a, .segmented-track span, .choice, summary, .field input"
UNTIL_IT_RUNS = """film => new Promise(done => {
    const look = () => film.currentTime > 0.1 ? done(true) : setTimeout(look, 50);
    look();
})"""
PROMPT = "Paper boats drift down a rain-lit street, low tracking shot, soft rain to hear"


def addresses(user: User) -> list[str]:
    """Every kind of page in every kind of state."""
    made = [
        takes.queued(user),
        takes.unconfirmed(user),
        takes.generating(user, aspect_ratio="9:16"),
        takes.ready(user),
        takes.refused(user),
        takes.late(user),
        takes.cancelled(user),
    ]
    give_credits(user, 500)
    own = [f"/videos/{task.pk}/" for task in made]
    return [
        "/",
        "/?example=street",
        "/videos/",
        "/videos/?q=nothing",
        "/credits/",
        *own,
        f"{own[3]}delete/",
        "/nothing",
    ]


# --- For everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_has_a_serious_barrier(new_page: NewPage, alice: User, scheme: str, viewport: tuple[int, int]) -> None:
    page = new_page(user=alice, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for address in addresses(alice):
        page.goto(address)
        assert barriers(page) == [], address
    page.goto("/")
    page.locator("label", has=page.locator("#id_mode_reference")).click()
    expect(page.locator("#file-reference1")).to_be_attached()
    assert barriers(page) == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_landing_page_has_no_serious_barrier(new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/")
    assert barriers(page) == []


def barriers(page: Page, *, preload: bool = True) -> list[str]:
    """What axe calls serious or critical, by rule and element.

    Where sheets import others (the operators' pages) axe would copy them into the page to `preload` them: the policy forbids it.
    """
    page.evaluate(AXE)
    options = {"resultTypes": ["violations"], "preload": preload}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("width", [320, 768])
def test_no_page_scrolls_sideways(new_page: NewPage, alice: User, width: int) -> None:
    page = new_page(user=alice, viewport=(width, 640))
    for address in addresses(alice):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    stranger = new_page(viewport=(width, 640))
    stranger.goto("/")
    assert stranger.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_everything_to_press_is_large_enough(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice, viewport=PHONE)
    for address in addresses(alice):
        page.goto(address)
        small = page.evaluate(
            """pressable => [...document.querySelectorAll(pressable)]
                .filter(e => e.checkVisibility() && !['hidden', 'checkbox'].includes(e.type))
                .map(e => [e.getBoundingClientRect(), e])
                .filter(([box]) => box.height > 0 && (box.height < 35.5 || box.width < 35.5))
                .map(([box, e]) => `${e.outerHTML.slice(0, 90)} ${Math.round(box.width)}x${Math.round(box.height)}`)""",
            PRESSABLE,
        )
        assert small == [], address
        thumbs = page.locator(".btn-primary, .dock a").all()
        heights = [box["height"] for place in thumbs if (box := place.bounding_box())]
        assert min(heights, default=44) >= 44, address


def test_the_studio_is_used_with_the_keyboard_alone(new_page: NewPage, alice: User) -> None:
    give_credits(alice, 100)
    page = new_page(user=alice)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "[name=mode]")
    tab_to(page, "#id_prompt")
    page.keyboard.type(PROMPT)
    tab_to(page, "[name=model]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#id_model_veo3_lite")).to_be_checked()
    expect(page.locator("#pay")).to_contain_text("30 credits")
    expect(page.locator("#id_model_veo3_lite")).to_be_focused()
    tab_to(page, "#make")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?from=*")
    task = VideoTask.objects.get()
    assert (task.prompt, task.model) == (PROMPT, "veo3_lite")
    assert ledger.balance_of(alice) == 70


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until there, seeing at every stop where one is."""
    for _ in range(40):
        page.keyboard.press("Tab")
        ringed = page.evaluate(
            """() => {
                const at = document.activeElement;
                const drawn = [at, at.nextElementSibling, at.parentElement, ...at.parentElement.children].filter(Boolean);
                return drawn.some(e => getComputedStyle(e).outlineStyle !== 'none' && getComputedStyle(e).outlineWidth !== '0px');
            }"""
        )
        assert ringed, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab never reached {selector}")


# --- The studio -------------------------------------------------------------------------------------------------------


def test_the_price_follows_every_choice(new_page: NewPage, alice: User) -> None:
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


def test_an_image_is_shown_as_soon_as_it_is_chosen_and_can_be_taken_out(
    new_page: NewPage, alice: User, tmp_path: Path
) -> None:
    give_credits(alice, 100)
    (tmp_path / "frame.png").write_bytes(takes.png())
    (tmp_path / "notes.png").write_text("no image")
    page = new_page(user=alice)
    page.goto("/")
    page.fill("#id_prompt", PROMPT)
    page.locator("label", has=page.locator("#id_mode_first")).click()
    page.set_input_files("#file-first", tmp_path / "notes.png")
    expect(page.locator("#slot-first .errorlist")).to_be_visible()
    page.set_input_files("#file-first", tmp_path / "frame.png")
    shown = page.locator("#slot-first img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.click("#slot-first .slot-remove")
    expect(page.locator("#file-first")).to_be_attached()
    page.set_input_files("#file-first", tmp_path / "frame.png")
    expect(shown).to_be_visible()
    page.click("#make")
    page.wait_for_url("**/?from=*")
    assert VideoTask.objects.get().task_images.count() == 1
    expect(page.locator("#id_prompt")).to_have_value(PROMPT)


def test_what_was_typed_survives_a_reload(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice)
    page.goto("/")
    page.locator("#id_prompt").press_sequentially("A fox in the snow")
    page.goto("/credits/")
    page.goto("/")
    expect(page.locator("#id_prompt")).to_have_value("A fox in the snow")
    expect(page.locator("#prompt-count")).to_have_text("5 words")


def test_the_hints_see_what_is_said_and_add_what_is_not(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice)
    page.goto("/?example=lighthouse")
    said = page.locator("#hints .said")
    expect(said).to_have_count(5)
    page.fill("#id_prompt", "a fox")
    expect(said).to_have_count(0)
    page.click("#hints button[data-hint=camera]")
    expect(page.locator("#id_prompt")).to_have_value("a fox, slow dolly in")
    expect(page.locator("#hints button[data-hint=camera]")).to_have_class("said")


def test_without_javascript_a_video_is_ordered_watched_and_cancelled(new_page: NewPage, alice: User) -> None:
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


# --- Live -------------------------------------------------------------------------------------------------------------


def test_a_video_turns_ready_on_the_open_studio_page_and_the_asking_ends(new_page: NewPage, alice: User) -> None:
    task = takes.generating(alice, PROMPT)
    page = new_page(user=alice)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "shown=" in request.url else None)
    page.goto("/")
    page.evaluate("window.sameDocument = true")
    page.fill("#id_prompt", "typed meanwhile")
    expect(page.locator(f"#job-{task.pk}")).to_be_visible()
    takes.finish(task)
    expect(page.locator(f"#video-{task.pk} img")).to_be_visible(timeout=8000)
    expect(page.locator(".job")).to_have_count(0)
    assert page.evaluate("window.sameDocument") is True
    expect(page.locator("#id_prompt")).to_have_value("typed meanwhile")
    so_far = len(asked)
    page.wait_for_timeout(4500)
    assert len(asked) == so_far


def test_a_tile_of_the_gallery_turns_ready_in_its_place(new_page: NewPage, alice: User) -> None:
    done, task = takes.ready(alice), takes.generating(alice)
    page = new_page(user=alice)
    page.goto("/videos/")
    expect(page.locator(f"#video-{task.pk} .poster")).to_contain_text("Generating")
    takes.finish(task)
    expect(page.locator(f"#video-{task.pk} img")).to_be_visible(timeout=8000)
    expect(page.locator(f"#video-{done.pk} img")).to_be_visible()


def test_the_video_page_ends_with_a_film_that_plays(new_page: NewPage, alice: User) -> None:
    task = takes.generating(alice)
    page = new_page(user=alice)
    page.goto(f"/videos/{task.pk}/")
    expect(page.locator(".stage")).to_contain_text("Generating")
    takes.finish(task, films.film(duration_s=2))
    film = page.locator("video")
    expect(film).to_be_visible(timeout=8000)
    film.evaluate("film => { film.muted = true; return film.play(); }")
    film.evaluate(UNTIL_IT_RUNS)
    page.goto("/videos/")
    page.hover(f"#video-{task.pk} .poster")
    page.locator(".poster video").evaluate(UNTIL_IT_RUNS)
    page.mouse.move(0, 0)
    expect(page.locator(".poster video")).to_have_count(0)


def test_deleting_asks_in_a_dialog_that_escape_closes(new_page: NewPage, alice: User) -> None:
    task = takes.ready(alice)
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


def test_the_account_menu_closes_on_escape_and_elsewhere(new_page: NewPage, alice: User) -> None:
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
