"""Chromium and pages in it. A test fails when its page reports a script error or a CSP violation."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests import chromium, services

DESKTOP = (1280, 800)
PHONE = (390, 844)

NewPage = Callable[..., Page]

IDLE_TIMEOUT_S = 15


class ConnectionCounter:
    """Counts the connections that the live server is serving, which may outlive their page."""

    def __init__(self) -> None:
        self.open = 0
        self.changed = threading.Condition()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        serve = ThreadedWSGIServer.process_request_thread

        def process_and_count(server: ThreadedWSGIServer, *connection: Any) -> None:
            self._count(1)
            try:
                serve(server, *connection)
            finally:
                self._count(-1)

        patch.setattr(ThreadedWSGIServer, "process_request_thread", process_and_count)

    def wait_until_idle(self) -> None:
        """Wait until no connection is open.

        Otherwise a late response could write into the next test's database or lock a table that is being emptied.
        """
        deadline = time.monotonic() + IDLE_TIMEOUT_S
        with self.changed:
            while self.open and (remaining_s := deadline - time.monotonic()) > 0:
                self.changed.wait(remaining_s)

    def _count(self, change: int) -> None:
        with self.changed:
            self.open += change
            self.changed.notify_all()


@pytest.fixture(scope="session")
def connection_counter() -> Iterator[ConnectionCounter]:
    connection_counter = ConnectionCounter()
    with pytest.MonkeyPatch.context() as patch:
        connection_counter.install(patch)
        yield connection_counter


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    path = services.find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.launch_arguments())
        yield browser
        browser.close()


@pytest.fixture
def page_errors() -> list[str]:
    """Errors that the pages reported; a test that expects an error clears the list."""
    return []


@pytest.fixture
def new_page(
    browser: Browser, live_server: LiveServer, connection_counter: ConnectionCounter, page_errors: list[str]
) -> Iterator[NewPage]:
    """Opens pages on the live server: `new_page(user=alice, language="zh-CN", viewport=PHONE)`.

    Every call opens a separate browser profile; `base_url` is the server, so `page.goto("/videos/")` works.
    Other options go to Playwright's `new_context` (`java_script_enabled=False`, `color_scheme="dark"`).
    """
    contexts = []

    def open_page(
        *, user: User | None = None, language: str = "en-US", viewport: tuple[int, int] = DESKTOP, **options: Any
    ) -> Page:
        size = {"width": viewport[0], "height": viewport[1]}
        context = browser.new_context(base_url=live_server.url, locale=language, viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(15_000)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        record_page_errors(page, page_errors)
        return page

    yield open_page
    for context in contexts:
        context.close()
    connection_counter.wait_until_idle()
    assert page_errors == []


def record_page_errors(page: Page, errors: list[str]) -> None:
    """Append this page's errors to the list from now on."""
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.on("console", lambda message: _record_console_error(message, errors))


def _record_console_error(message: ConsoleMessage, errors: list[str]) -> None:
    """Record console errors, except responses such as a refused form or a missing page, which Chromium logs as errors."""
    if message.type != "error":
        return
    is_response = message.text.startswith("Failed to load resource") and "/static/" not in message.location["url"]
    if not is_response:
        errors.append(message.text)


def measure_overflow(page: Page) -> int:
    """The number of pixels by which the page is wider than its window, once styles and fonts are loaded."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => true)")
    overflow: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return overflow
