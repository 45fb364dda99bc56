"""Three ways to use a page: mouse, touch, and keyboard only."""

from typing import Protocol

from playwright.sync_api import Locator, Page

# More than the tab stops of any page.
MAX_TAB_PRESSES = 120


class InputDevice(Protocol):
    """Actions on a page; each waits until its target is visible."""

    def press(self, target: Locator) -> None:
        """Press a button or a link."""

    def write(self, target: Locator, text: str) -> None:
        """Replace the text of a field."""

    def choose(self, radio: Locator) -> None:
        """Choose a radio button by its label, because the button itself is hidden."""

    def play(self, video: Locator) -> None:
        """Play a video with its own controls."""


class Mouse:
    """Clicks with the mouse."""

    def press(self, target: Locator) -> None:
        target.click()

    def write(self, target: Locator, text: str) -> None:
        target.fill(text)

    def choose(self, radio: Locator) -> None:
        _find_label(radio).click()

    def play(self, video: Locator) -> None:
        video.click()


class Touch(Mouse):
    """Taps on a touch screen; the page's context needs `has_touch`."""

    def press(self, target: Locator) -> None:
        target.tap()

    def choose(self, radio: Locator) -> None:
        _find_label(radio).tap()

    def play(self, video: Locator) -> None:
        # A tap on the picture only shows the controls; the play button is at the left, above the timeline.
        box = video.bounding_box()
        assert box is not None
        video.tap(position={"x": 26, "y": box["height"] - 48})


class Keyboard:
    """Tab, arrow keys, Enter and Space; fails when a target cannot be reached."""

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

    def play(self, video: Locator) -> None:
        self._reach(video)
        self._page.keyboard.press("Space")

    def _reach(self, target: Locator) -> None:
        target.wait_for(state="attached")
        for _ in range(MAX_TAB_PRESSES):
            if target.evaluate("element => element === document.activeElement"):
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {target}")


def _find_label(radio: Locator) -> Locator:
    return radio.locator("xpath=ancestor::label")
