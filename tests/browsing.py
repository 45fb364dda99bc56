"""A real Chromium and pages in it. A test fails when its page reports a script error or a breach of the CSP."""

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

PATIENCE_S = 15


class Visitors:
    """How many connections the live server is serving: a page that is closed may still be answered for a while."""

    def __init__(self) -> None:
        self.inside = 0
        self.changed = threading.Condition()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        serve = ThreadedWSGIServer.process_request_thread

        def counted(server: ThreadedWSGIServer, *connection: Any) -> None:
            self._count(1)
            try:
                serve(server, *connection)
            finally:
                self._count(-1)

        patch.setattr(ThreadedWSGIServer, "process_request_thread", counted)

    def wait_until_gone(self) -> None:
        """So that no late answer writes into the next test's database, or locks a table that is being emptied."""
        until = time.monotonic() + PATIENCE_S
        with self.changed:
            while self.inside and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)

    def _count(self, step: int) -> None:
        with self.changed:
            self.inside += step
            self.changed.notify_all()


@pytest.fixture(scope="session")
def visitors() -> Iterator[Visitors]:
    visitors = Visitors()
    with pytest.MonkeyPatch.context() as patch:
        visitors.watch(patch)
        yield visitors


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
    """What the pages complained about; a test that expects a complaint empties the list."""
    return []


@pytest.fixture
def new_page(
    browser: Browser, live_server: LiveServer, visitors: Visitors, page_errors: list[str]
) -> Iterator[NewPage]:
    """Opens pages on the live server: `new_page(user=alice, language="zh-CN", viewport=PHONE)`.

    Every call is a browser profile of its own; `base_url` is the server, so `page.goto("/videos/")` works.
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
        listen(page, page_errors)
        return page

    yield open_page
    for context in contexts:
        context.close()
    visitors.wait_until_gone()
    assert page_errors == []


def listen(page: Page, errors: list[str]) -> None:
    """Collect what this page complains about from now on."""
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.on("console", lambda message: _note(message, errors))


def _note(message: ConsoleMessage, errors: list[str]) -> None:
    """Errors count, except a refused form or a missing page, which the browser calls an error and we an answer."""
    if message.type != "error":
        return
    is_answer = message.text.startswith("Failed to load resource") and "/static/" not in message.location["url"]
    if not is_answer:
        errors.append(message.text)


def too_wide(page: Page) -> int:
    """By how many pixels the page, once its styles and fonts are there, is wider than its window."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => true)")
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
