"""Accessibility and size of the pages in Chromium. `new_page` fails a test if the page's console shows an error."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.credits import ledger
from tests.browsing import DESKTOP, PHONE, NewPage
from tests.people import give_credits
from tests.videos import video_states
from videos.models import VideoTask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_media")]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
CONTROLS = "button, a.btn, a.chip, .dock a, .segmented-track span, .choice, summary, .field input"
PROMPT = "Paper boats drift down a rain-lit street, low tracking shot, soft rain to hear"


def make_pages(user: User) -> list[str]:
    """The addresses of every kind of page, with videos in every state."""
    tasks = [
        video_states.make_queued(user),
        video_states.make_unconfirmed(user),
        video_states.make_generating(user, aspect_ratio="9:16"),
        video_states.make_ready(user),
        video_states.make_refused(user),
        video_states.make_late(user),
        video_states.make_cancelled(user),
    ]
    give_credits(user, 500)
    video_pages = [f"/videos/{task.pk}/" for task in tasks]
    return [
        "/",
        "/?example=street",
        "/videos/",
        "/videos/?q=nothing",
        "/credits/",
        *video_pages,
        f"{video_pages[3]}delete/",
        "/nothing",
    ]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_has_a_serious_violation(
    new_page: NewPage, alice: User, scheme: str, viewport: tuple[int, int]
) -> None:
    page = new_page(user=alice, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for address in make_pages(alice):
        page.goto(address)
        assert find_violations(page) == [], address
    page.goto("/")
    page.locator("label", has=page.locator("#id_mode_reference")).click()
    expect(page.locator("#file-reference1")).to_be_attached()
    assert find_violations(page) == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_landing_page_has_no_serious_violation(new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/")
    assert find_violations(page) == []


def find_violations(page: Page, *, preload: bool = True) -> list[str]:
    """Violations that axe rates serious or critical, by rule and element.

    Pass `preload=False` for pages whose style sheets import others (the operators' pages): axe would copy them into the
    page, which the policy forbids.
    """
    page.evaluate(AXE)
    options = {"resultTypes": ["violations"], "preload": preload}
    result: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("width", [320, 768])
def test_no_page_scrolls_horizontally(new_page: NewPage, alice: User, width: int) -> None:
    page = new_page(user=alice, viewport=(width, 640))
    for address in make_pages(alice):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    visitor = new_page(viewport=(width, 640))
    visitor.goto("/")
    assert visitor.evaluate("document.documentElement.scrollWidth") <= width


def test_controls_are_large_enough_on_a_phone(new_page: NewPage, alice: User) -> None:
    page = new_page(user=alice, viewport=PHONE)
    for address in make_pages(alice):
        page.goto(address)
        too_small = page.evaluate(
            """pressable => [...document.querySelectorAll(pressable)]
                .filter(e => e.checkVisibility() && !['hidden', 'checkbox'].includes(e.type))
                .map(e => [e.getBoundingClientRect(), e])
                .filter(([box]) => box.height > 0 && (box.height < 35.5 || box.width < 35.5))
                .map(([box, e]) => `${e.outerHTML.slice(0, 90)} ${Math.round(box.width)}x${Math.round(box.height)}`)""",
            CONTROLS,
        )
        assert too_small == [], address
        primary = page.locator(".btn-primary, .dock a").all()
        heights = [box["height"] for control in primary if (box := control.bounding_box())]
        assert min(heights, default=44) >= 44, address


def test_the_studio_can_be_used_with_the_keyboard_only(new_page: NewPage, alice: User) -> None:
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
    """Press Tab until the selector has the focus; every stop must show a focus ring."""
    for _ in range(40):
        page.keyboard.press("Tab")
        has_focus_ring = page.evaluate(
            """() => {
                const focused = document.activeElement;
                const parent = focused.parentElement;
                const candidates = [focused, focused.nextElementSibling, parent, ...parent.children].filter(Boolean);
                const styles = candidates.map(element => getComputedStyle(element));
                return styles.some(style => style.outlineStyle !== 'none' && style.outlineWidth !== '0px');
            }"""
        )
        assert has_focus_ring, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab never reached {selector}")
