"""Three ways of using a page: with a mouse, with a finger, with the keyboard alone."""

from typing import Protocol

from playwright.sync_api import Locator, Page

# More presses than any page of ours has places to stop at.
MOST_STOPS = 120


class Hand(Protocol):
    """What a person does to a page. Every act waits until its target can be seen."""

    def press(self, target: Locator) -> None:
        """A button or a link."""

    def write(self, target: Locator, text: str) -> None:
        """Text into a field, in place of what stood there."""

    def choose(self, radio: Locator) -> None:
        """One of several: the radio itself, whose label is what people see."""

    def start(self, film: Locator) -> None:
        """Play a video by its own controls."""


class Mouse:
    """Clicks."""

    def press(self, target: Locator) -> None:
        target.click()

    def write(self, target: Locator, text: str) -> None:
        target.fill(text)

    def choose(self, radio: Locator) -> None:
        _label(radio).click()

    def start(self, film: Locator) -> None:
        film.click()


class Finger(Mouse):
    """Taps; the page's context must have touch."""

    def press(self, target: Locator) -> None:
        target.tap()

    def choose(self, radio: Locator) -> None:
        _label(radio).tap()

    def start(self, film: Locator) -> None:
        # A tap on the picture only shows the controls; the button lies at the left, above the line of time.
        box = film.bounding_box()
        assert box is not None
        film.tap(position={"x": 26, "y": box["height"] - 48})


class Keyboard:
    """Tab, arrows, Enter, Space: whatever cannot be reached this way fails."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def press(self, target: Locator) -> None:
        self._reach(target)
        self._page.keyboard.press("Enter")

    def write(self, target: Locator, text: str) -> None:
        self._reach(target)
        self._page.keyboard.press("ControlOrMeta+a")
        self._page.keyboard.type(text)

    def choose(self, radio: Locator) -> None:
        group = self._page.locator(f'input[name="{radio.get_attribute("name")}"]')
        self._reach(group.and_(self._page.locator(":checked")))
        for _ in range(group.count()):
            if radio.is_checked():
                return
            self._page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrow keys do not reach {radio}")

    def start(self, film: Locator) -> None:
        self._reach(film)
        self._page.keyboard.press("Space")

    def _reach(self, target: Locator) -> None:
        target.wait_for(state="attached")
        for _ in range(MOST_STOPS):
            if target.evaluate("element => element === document.activeElement"):
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {target}")


def _label(radio: Locator) -> Locator:
    return radio.locator("xpath=ancestor::label")
