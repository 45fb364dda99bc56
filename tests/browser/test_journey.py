"""The main job from end to end, as a person meets it: the whole product as processes, a real Chromium, real mail.

JOURNEY_PICTURES=DIR keeps a picture of every step, for people to look at.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser, Page, expect

from tests.browser.hands import Finger, Hand, Keyboard, Mouse
from tests.browser.words import CHINESE, ENGLISH, Words
from tests.browsing import DESKTOP, PHONE, listen
from tests.mail import Mailbox, free_port
from tests.sandbox import SandboxProcess
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.browser

PASSWORD = "seven quiet lighthouses"
# The worker may have to start first, on a machine that is busy with other tests.
WITHIN_MS = 60_000
# A word on the page's own window, which a reload would lose.
MARK = "() => { window.neverReloaded = true; }"
MARKED = "() => window.neverReloaded === true"
RUNS = "film => film.currentTime > 0.3"


@dataclass
class Product:
    """The running product, as `make run` starts it: web, worker, sandbox, SQLite; and the mail that it sends."""

    stack: Stack
    sandbox: SandboxProcess
    mailbox: Mailbox

    def code_for(self, address: str, subject: str) -> str:
        """The confirmation code that came to this address by mail, in the language of the subject."""
        wait_until(lambda: self._letters(address) != [], within_s=10, every_s=0.1)
        (letter,) = self._letters(address)
        assert subject in letter["Subject"]
        text = letter.get_body(preferencelist=("plain",)).get_content()
        code = re.search(r"^ +([A-Z0-9-]+)\r?$", text, flags=re.MULTILINE)
        assert code, text
        return code[1]

    def hash_of(self, task_id: str) -> str:
        """The sha256 that the product noted when it checked the video's file."""
        (row,) = self.stack.rows(f"SELECT sha256 FROM videos_videofile WHERE task_id = '{task_id.replace('-', '')}'")
        return str(row[0])

    def _letters(self, address: str) -> list[Any]:
        return [letter for letter in self.mailbox.messages if letter["To"] == address]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, sandbox_process: SandboxProcess) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("journey")
    mailbox = Mailbox(port=free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    # No key and DEBUG: the sandbox stands in for the provider, as on a newcomer's machine.
    stack = Stack(
        folder,
        f"sqlite:///{folder / 'veoapp.sqlite3'}",
        sandbox_process,
        KIE_AI_API_KEY="",
        EMAIL_URL=f"smtp://127.0.0.1:{mailbox.port}",
    )
    try:
        stack.start_web()
        stack.start_worker()
        yield Product(stack, sandbox_process, mailbox)
    finally:
        stack.stop()
        controller.stop()


class Album:
    """Pictures of one journey, if somebody wants them."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._name = name
        self._folder = os.environ.get("JOURNEY_PICTURES", "")
        self._count = 0

    def add(self, step: str) -> None:
        if self._folder:
            self._count += 1
            file = Path(self._folder) / f"{self._name}-{self._count:02}-{step}.png"
            # Hiding the caret would leave empty style attributes behind, and htmx would trip over the policy with them.
            self._page.screenshot(path=file, caret="initial")


@pytest.fixture
def profiles(browser: Browser, product: Product, page_errors: list[str]) -> Iterator[Any]:
    """Opens pages on the product: `profiles(locale="zh-CN", viewport=PHONE)`; every complaint of theirs fails the test."""
    product.sandbox.reset()
    # A video ends when the test has seen it being made.
    product.sandbox.settings(times_s=[600, 600, 600])
    contexts = []

    def open_profile(*, viewport: tuple[int, int], **options: Any) -> Page:
        size = {"width": viewport[0], "height": viewport[1]}
        context = browser.new_context(base_url=product.stack.url, viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(WITHIN_MS)
        page = context.new_page()
        listen(page, page_errors)
        return page

    yield open_profile
    for context in contexts:
        context.close()
    assert page_errors == []


def sign_up(page: Page, hand: Hand, product: Product, words: Words, address: str, album: Album) -> None:
    """From the sign-up page to the studio, by the code from the mail."""
    expect(page.get_by_role("heading", level=1)).to_have_text(words.sign_up)
    hand.write(page.get_by_label(words.email, exact=True), address)
    hand.write(page.get_by_label(words.password, exact=True), PASSWORD)
    album.add("sign-up")
    hand.press(page.get_by_role("main").get_by_role("button", name=words.sign_up, exact=True))
    expect(page.get_by_text(address)).to_be_visible()
    hand.write(page.get_by_label(words.code, exact=True), product.code_for(address, words.subject))
    album.add("code")
    hand.press(page.get_by_role("button", name=words.go_on, exact=True))
    expect(page.locator("#balance")).to_have_text("100")


def make_and_keep(page: Page, hand: Hand, product: Product, words: Words, album: Album) -> None:
    """From the studio with its sign-up credits to a video that plays, lies on the disk and stands in the statement."""
    album.add("studio")
    hand.choose(page.locator("#id_model_veo3_lite"))
    expect(page.locator("#pay")).to_contain_text(words.leaves)
    lite = page.locator(".choice", has=page.locator("#id_model_veo3_lite")).locator(".num").first.inner_text()
    expect(page.locator(".pay-price b")).to_have_text(lite)
    price = int(lite)
    left = 100 - price
    expect(page.locator(".pay-left")).to_have_text(f"{words.leaves} {left}")
    hand.write(page.locator("#id_prompt"), words.prompt)
    album.add("prompt")
    hand.press(page.get_by_role("button", name=words.make, exact=True))

    expect(page.locator("#balance")).to_have_text(str(left))
    page.evaluate(MARK)
    job = page.locator("#live .job")
    expect(job).to_contain_text(words.generating, timeout=WITHIN_MS)
    expect(job.locator("progress")).not_to_have_attribute("value", "0")
    job.scroll_into_view_if_needed()
    album.add("progress")
    assert product.sandbox.finish() == 1
    take = page.locator("#latest .tile")
    expect(take).to_contain_text(words.prompt, timeout=WITHIN_MS)
    expect(page.locator("#live .job")).to_have_count(0)
    assert page.evaluate(MARKED), "it turned ready by a reload"
    take.scroll_into_view_if_needed()
    album.add("ready")

    hand.press(take.locator("a.tile-link"))
    page.wait_for_url("**/videos/*/")
    film = page.locator("video")
    expect(film).to_be_visible()
    album.add("video")
    hand.start(film)
    page.wait_for_function(RUNS, arg=film.element_handle())
    album.add("playing")

    with page.expect_download() as download:
        hand.press(page.get_by_role("link", name=words.download, exact=True))
    content = download.value.path().read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    assert sha256 == product.hash_of(page.url.rstrip("/").rpartition("/")[2])
    assert sha256 in {event["file_sha256"] for event in product.sandbox.events("served")}
    assert download.value.suggested_filename.endswith(".mp4")

    receipt = page.get_by_role("region", name=words.receipt)
    expect(receipt.locator(".receipt-head")).to_contain_text(lite)
    expect(receipt).to_contain_text(words.charged.format(n=price))
    expect(receipt).to_contain_text(words.checked)
    receipt.scroll_into_view_if_needed()
    album.add("receipt")

    hand.press(page.get_by_role("link", name=words.credits, exact=True))
    expect(page.locator(".credits-balance")).to_have_text(str(left))
    charge, welcome = page.locator(".entries tbody tr").all()
    expect(charge).to_contain_text(words.prompt)
    expect(charge.locator(".entry-amount")).to_have_text(f"−{price}")
    expect(charge.locator(".entry-balance")).to_have_text(str(left))
    expect(welcome).to_contain_text(words.welcome)
    expect(welcome.locator(".entry-amount")).to_have_text("+100")
    album.add("credits")
    assert len(product.sandbox.list_accepted()) == 1


def test_a_stranger_signs_up_makes_a_video_and_keeps_it_with_the_keyboard_alone(
    product: Product, profiles: Any
) -> None:
    page = profiles(viewport=DESKTOP, locale="en-US")
    hand, album = Keyboard(page), Album(page, "en")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(ENGLISH.hero)
    album.add("landing")
    hand.press(page.get_by_role("banner").get_by_role("link", name=ENGLISH.sign_up, exact=True))
    sign_up(page, hand, product, ENGLISH, "eve@example.com", album)
    make_and_keep(page, hand, product, ENGLISH, album)


def test_the_same_in_chinese_on_a_phone_with_the_words_of_the_front_page_kept(product: Product, profiles: Any) -> None:
    page = profiles(viewport=PHONE, locale="zh-CN", has_touch=True, is_mobile=True, device_scale_factor=2)
    hand, album = Finger(), Album(page, "zh")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("heading", level=1)).to_have_text(CHINESE.hero)
    album.add("landing")
    hand.write(page.locator("#try"), CHINESE.prompt)
    hand.press(page.get_by_role("button", name=CHINESE.begin))
    sign_up(page, hand, product, CHINESE, "lin@example.com", album)
    expect(page.locator("#id_prompt")).to_have_value(CHINESE.prompt)
    make_and_keep(page, hand, product, CHINESE, album)


@pytest.mark.parametrize(
    ("words", "locale", "viewport"),
    [(ENGLISH, "en-US", DESKTOP), (CHINESE, "zh-CN", PHONE)],
    ids=["english", "chinese"],
)
def test_a_refused_prompt_says_so_plainly_gives_the_credits_back_and_comes_back_to_be_edited(
    product: Product, profiles: Any, words: Words, locale: str, viewport: tuple[int, int]
) -> None:
    page = profiles(viewport=viewport, locale=locale)
    hand, album = Mouse(), Album(page, f"refused-{locale[:2]}")
    page.goto("/accounts/signup/")
    sign_up(page, hand, product, words, f"{locale[:2]}.refused@example.com", album)
    prompt = f"[refuse] {words.prompt}"
    hand.write(page.locator("#id_prompt"), prompt)
    price = page.locator(".pay-price b").inner_text()
    hand.press(page.get_by_role("button", name=words.make, exact=True))
    tile = page.locator("#latest .tile")
    expect(tile).to_contain_text(words.refused, timeout=WITHIN_MS)
    expect(page.locator("#balance")).to_have_text("100")
    # The price bar was drawn while the credits were away.
    expect(page.locator(".pay-left")).to_have_text(f"{words.leaves} {100 - int(price)}")
    tile.scroll_into_view_if_needed()
    album.add("tile")
    hand.press(tile.locator("a.tile-prompt"))
    expect(page.get_by_role("heading", name=words.refused)).to_be_visible()
    expect(page.get_by_text(words.why, exact=True)).to_be_visible()
    expect(page.get_by_text(words.back.format(n=price))).to_be_visible()
    album.add("why")
    hand.press(page.get_by_role("link", name=words.retry, exact=True))
    expect(page.locator("#id_prompt")).to_have_value(prompt)
    album.add("again")
    assert product.sandbox.list_accepted() == []
