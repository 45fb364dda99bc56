"""From signing up to a downloaded video, with the whole product as processes, Chromium, and e-mail over SMTP.

JOURNEY_PICTURES=DIR saves a screenshot of every step.
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

from tests.browser.input_devices import InputDevice, Keyboard, Mouse, Touch
from tests.browser.page_texts import CHINESE, ENGLISH, PageTexts
from tests.browsing import DESKTOP, PHONE, record_page_errors
from tests.mail import Mailbox, free_port
from tests.sandbox import SandboxProcess
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.browser

PASSWORD = "seven quiet lighthouses"
# The worker may still be starting, on a machine that is busy with other tests.
TIMEOUT_MS = 60_000
# Sets a property of the window object, which a reload would remove.
MARK_WINDOW = "() => { window.neverReloaded = true; }"
IS_WINDOW_MARKED = "() => window.neverReloaded === true"
IS_PLAYING = "video => video.currentTime > 0.3"


@dataclass
class Product:
    """The running product as `make run` starts it (web, worker, sandbox, SQLite), and the e-mails that it sends."""

    stack: Stack
    sandbox: SandboxProcess
    mailbox: Mailbox

    def find_code(self, address: str, subject: str) -> str:
        """The confirmation code in the only e-mail to this address; its subject must contain `subject`."""
        wait_until(lambda: self._list_mails(address) != [], within_s=10, every_s=0.1)
        (message,) = self._list_mails(address)
        assert subject in message["Subject"]
        text = message.get_body(preferencelist=("plain",)).get_content()
        code = re.search(r"^ +([A-Z0-9-]+)\r?$", text, flags=re.MULTILINE)
        assert code, text
        return code[1]

    def get_file_hash(self, task_id: str) -> str:
        """The sha256 that the product stored when it checked the video's file."""
        (row,) = self.stack.rows(f"SELECT sha256 FROM videos_videofile WHERE task_id = '{task_id.replace('-', '')}'")
        return str(row[0])

    def _list_mails(self, address: str) -> list[Any]:
        return [message for message in self.mailbox.messages if message["To"] == address]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, sandbox_process: SandboxProcess) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("journey")
    mailbox = Mailbox(port=free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    # DEBUG without a key, so that the sandbox is the provider, as on a new machine.
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


class Screenshots:
    """Screenshots of one journey, if JOURNEY_PICTURES is set."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._name = name
        self._folder = os.environ.get("JOURNEY_PICTURES", "")
        self._count = 0

    def add(self, step: str) -> None:
        if self._folder:
            self._count += 1
            file = Path(self._folder) / f"{self._name}-{self._count:02}-{step}.png"
            # Hiding the caret would leave empty style attributes, which violate the policy when htmx copies them.
            self._page.screenshot(path=file, caret="initial")


@pytest.fixture
def profiles(browser: Browser, product: Product, page_errors: list[str]) -> Iterator[Any]:
    """Opens pages on the product: `profiles(locale="zh-CN", viewport=PHONE)`; an error on a page fails the test."""
    product.sandbox.reset()
    # Videos would take longer than the test, which ends them with `sandbox.finish`.
    product.sandbox.settings(times_s=[600, 600, 600])
    contexts = []

    def open_profile(*, viewport: tuple[int, int], **options: Any) -> Page:
        size = {"width": viewport[0], "height": viewport[1]}
        context = browser.new_context(base_url=product.stack.url, viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        record_page_errors(page, page_errors)
        return page

    yield open_profile
    for context in contexts:
        context.close()
    assert page_errors == []


def sign_up(
    page: Page, device: InputDevice, product: Product, texts: PageTexts, address: str, screenshots: Screenshots
) -> None:
    """Sign up with the code from the e-mail, up to the studio."""
    expect(page.get_by_role("heading", level=1)).to_have_text(texts.sign_up)
    device.write(page.get_by_label(texts.email, exact=True), address)
    device.write(page.get_by_label(texts.password, exact=True), PASSWORD)
    screenshots.add("sign-up")
    device.press(page.get_by_role("main").get_by_role("button", name=texts.sign_up, exact=True))
    expect(page.get_by_text(address)).to_be_visible()
    device.write(page.get_by_label(texts.code, exact=True), product.find_code(address, texts.subject))
    screenshots.add("code")
    device.press(page.get_by_role("button", name=texts.continue_, exact=True))
    expect(page.locator("#balance")).to_have_text("100")


def make_video(page: Page, device: InputDevice, product: Product, texts: PageTexts, screenshots: Screenshots) -> None:
    """Order a video with the sign-up credits, then play it, download it and find it in the statement."""
    screenshots.add("studio")
    device.choose(page.locator("#id_model_veo3_lite"))
    expect(page.locator("#pay")).to_contain_text(texts.remaining)
    price_text = page.locator(".choice", has=page.locator("#id_model_veo3_lite")).locator(".num").first.inner_text()
    expect(page.locator(".pay-price b")).to_have_text(price_text)
    price = int(price_text)
    remaining = 100 - price
    expect(page.locator(".pay-left")).to_have_text(f"{texts.remaining} {remaining}")
    device.write(page.locator("#id_prompt"), texts.prompt)
    screenshots.add("prompt")
    device.press(page.get_by_role("button", name=texts.make, exact=True))

    expect(page.locator("#balance")).to_have_text(str(remaining))
    page.evaluate(MARK_WINDOW)
    job = page.locator("#live .job")
    expect(job).to_contain_text(texts.generating, timeout=TIMEOUT_MS)
    expect(job.locator("progress")).not_to_have_attribute("value", "0")
    job.scroll_into_view_if_needed()
    screenshots.add("progress")
    assert product.sandbox.finish() == 1
    tile = page.locator("#latest .tile")
    expect(tile).to_contain_text(texts.prompt, timeout=TIMEOUT_MS)
    expect(page.locator("#live .job")).to_have_count(0)
    assert page.evaluate(IS_WINDOW_MARKED), "the page was reloaded"
    tile.scroll_into_view_if_needed()
    screenshots.add("ready")

    device.press(tile.locator("a.tile-link"))
    page.wait_for_url("**/videos/*/")
    video = page.locator("video")
    expect(video).to_be_visible()
    screenshots.add("video")
    device.play(video)
    page.wait_for_function(IS_PLAYING, arg=video.element_handle())
    screenshots.add("playing")

    with page.expect_download() as download:
        device.press(page.get_by_role("link", name=texts.download, exact=True))
    content = download.value.path().read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    assert sha256 == product.get_file_hash(page.url.rstrip("/").rpartition("/")[2])
    assert sha256 in {event["file_sha256"] for event in product.sandbox.events("served")}
    assert download.value.suggested_filename.endswith(".mp4")

    receipt = page.get_by_role("region", name=texts.receipt)
    expect(receipt.locator(".receipt-head")).to_contain_text(price_text)
    expect(receipt).to_contain_text(texts.charged.format(n=price))
    expect(receipt).to_contain_text(texts.checked)
    receipt.scroll_into_view_if_needed()
    screenshots.add("receipt")

    device.press(page.get_by_role("link", name=texts.credits, exact=True))
    expect(page.locator(".credits-balance")).to_have_text(str(remaining))
    charge, grant = page.locator(".entries tbody tr").all()
    expect(charge).to_contain_text(texts.prompt)
    expect(charge.locator(".entry-amount")).to_have_text(f"−{price}")
    expect(charge.locator(".entry-balance")).to_have_text(str(remaining))
    expect(grant).to_contain_text(texts.sign_up_credits)
    expect(grant.locator(".entry-amount")).to_have_text("+100")
    screenshots.add("credits")
    assert len(product.sandbox.list_accepted()) == 1


def test_a_new_user_signs_up_makes_and_downloads_a_video_with_the_keyboard_only(
    product: Product, profiles: Any
) -> None:
    page = profiles(viewport=DESKTOP, locale="en-US")
    device, screenshots = Keyboard(page), Screenshots(page, "en")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(ENGLISH.hero)
    screenshots.add("landing")
    device.press(page.get_by_role("banner").get_by_role("link", name=ENGLISH.sign_up, exact=True))
    sign_up(page, device, product, ENGLISH, "eve@example.com", screenshots)
    make_video(page, device, product, ENGLISH, screenshots)


def test_the_journey_works_in_chinese_on_a_phone_and_keeps_the_front_page_prompt(
    product: Product, profiles: Any
) -> None:
    page = profiles(viewport=PHONE, locale="zh-CN", has_touch=True, is_mobile=True, device_scale_factor=2)
    device, screenshots = Touch(), Screenshots(page, "zh")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("heading", level=1)).to_have_text(CHINESE.hero)
    screenshots.add("landing")
    device.write(page.locator("#try"), CHINESE.prompt)
    device.press(page.get_by_role("button", name=CHINESE.start))
    sign_up(page, device, product, CHINESE, "lin@example.com", screenshots)
    expect(page.locator("#id_prompt")).to_have_value(CHINESE.prompt)
    make_video(page, device, product, CHINESE, screenshots)


@pytest.mark.parametrize(
    ("texts", "locale", "viewport"),
    [(ENGLISH, "en-US", DESKTOP), (CHINESE, "zh-CN", PHONE)],
    ids=["english", "chinese"],
)
def test_a_refused_prompt_is_explained_refunded_and_can_be_edited(
    product: Product, profiles: Any, texts: PageTexts, locale: str, viewport: tuple[int, int]
) -> None:
    page = profiles(viewport=viewport, locale=locale)
    device, screenshots = Mouse(), Screenshots(page, f"refused-{locale[:2]}")
    page.goto("/accounts/signup/")
    sign_up(page, device, product, texts, f"{locale[:2]}.refused@example.com", screenshots)
    prompt = f"[refuse] {texts.prompt}"
    device.write(page.locator("#id_prompt"), prompt)
    price = page.locator(".pay-price b").inner_text()
    device.press(page.get_by_role("button", name=texts.make, exact=True))
    tile = page.locator("#latest .tile")
    expect(tile).to_contain_text(texts.refused, timeout=TIMEOUT_MS)
    expect(page.locator("#balance")).to_have_text("100")
    # The price bar was rendered before the refund.
    expect(page.locator(".pay-left")).to_have_text(f"{texts.remaining} {100 - int(price)}")
    tile.scroll_into_view_if_needed()
    screenshots.add("tile")
    device.press(tile.locator("a.tile-prompt"))
    expect(page.get_by_role("heading", name=texts.refused)).to_be_visible()
    expect(page.get_by_text(texts.refusal_reason, exact=True)).to_be_visible()
    expect(page.get_by_text(texts.refunded.format(n=price))).to_be_visible()
    screenshots.add("refusal")
    device.press(page.get_by_role("link", name=texts.retry, exact=True))
    expect(page.locator("#id_prompt")).to_have_value(prompt)
    screenshots.add("retry")
    assert product.sandbox.list_accepted() == []
