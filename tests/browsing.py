"""A real Chromium and pages in it. A test fails when its page reports a script error or a breach of the CSP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests import chromium, services

DESKTOP = (1280, 800)
PHONE = (390, 844)

NewPage = Callable[..., Page]


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
def new_page(browser: Browser, live_server: LiveServer, page_errors: list[str]) -> Iterator[NewPage]:
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
