"""The reconciliation page in a real Chromium: accessible, on every width, and its forms from end to end."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.models import BooksRun, FileAnswer, ProviderEntry, Spend
from tests.billing import history
from tests.billing.simulated_provider import SimulatedProvider
from tests.browser.input_devices import InputDevice, Keyboard, Mouse, Touch
from tests.browser.test_pages import find_violations
from tests.browsing import DESKTOP, PHONE, NewPage, measure_overflow
from tests.clocks import ManualClock
from videos.models import VideoTask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_media")]

PATH = "/admin/reconciliation/"
AFTERNOON = datetime(2026, 9, 2, 14, 20, tzinfo=UTC)
REASON = "Somebody tried the provider's playground"


@pytest.fixture
def provider(settings: Settings, alice: User) -> Iterator[SimulatedProvider]:
    """Our account at the provider on a Wednesday afternoon."""
    settings.STAFF_MFA_REQUIRED = False
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    manual_clock = ManualClock()
    manual_clock.at = AFTERNOON
    with clock.replaced(manual_clock):
        yield SimulatedProvider(manual_clock, alice)


@pytest.fixture
def missing_credits(provider: SimulatedProvider) -> SimulatedProvider:
    """Two videos, and 12.5 provider credits missing that no video explains."""
    provider.read_balance()
    provider.run_job()
    provider.run_job(model="veo3", actual="37.5", charged="-22.5")
    provider.balance -= Decimal("12.5")
    provider.read_balance()
    BooksRun.objects.create(at=provider.clock.at, took_s=1, problems=0)
    return provider


@pytest.fixture
def paid_video_without_file(provider: SimulatedProvider) -> VideoTask:
    """A paid video without a file, and a file without a video."""
    provider.read_balance()
    provider.advance(minutes=1)
    task = history.make_failed(provider.user)
    Spend.objects.filter(job_id=task.pk).update(actual=60, basis="reported")
    provider.balance -= 60
    provider.read_balance()
    unknown_file = {
        "invariant": "I15",
        "reference": "videos/2026/09/stray.mp4",
        "text": "is stored, but no row refers to it",
    }
    BooksRun.objects.create(at=provider.clock.at, took_s=1, problems=1, first_problems=[unknown_file])
    return task


def make_device(name: str, page: Page) -> InputDevice:
    devices: dict[str, InputDevice] = {"mouse": Mouse(), "touch": Touch(), "keyboard": Keyboard(page)}
    return devices[name]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible(
    missing_credits: SimulatedProvider, olga: User, new_page: NewPage, scheme: str, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for query in ("", "?stretch=month", "?begin=2026-09-02&end=2026-09-01"):
        page.goto(PATH + query)
        assert find_violations(page, preload=False) == [], query


def test_the_page_before_two_readings_is_accessible(provider: SimulatedProvider, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga, viewport=PHONE, reduced_motion="reduce")
    page.goto(PATH)
    expect(page.get_by_role("heading", name="Nothing to compare yet")).to_be_visible()
    assert find_violations(page, preload=False) == []
    assert measure_overflow(page) <= 0


@pytest.mark.parametrize("width", [320, 390, 768, 1100, 1440])
def test_the_page_never_scrolls_sideways(
    missing_credits: SimulatedProvider, olga: User, new_page: NewPage, width: int
) -> None:
    page = new_page(user=olga, viewport=(width, 844))
    for query in ("", "?stretch=month", "?begin=2026-09-02&end=2026-09-01"):
        page.goto(PATH + query)
        assert measure_overflow(page) <= 0, query


@pytest.mark.parametrize(
    ("device_name", "viewport"),
    [("mouse", DESKTOP), ("touch", PHONE), ("keyboard", DESKTOP)],
    ids=["mouse", "touch", "keyboard"],
)
def test_a_correction_is_recorded_from_end_to_end(
    missing_credits: SimulatedProvider, olga: User, new_page: NewPage, device_name: str, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport, has_touch=device_name == "touch")
    device = make_device(device_name, page)
    page.goto(PATH)
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("12.5")
    amount, reason = page.get_by_role("spinbutton", name="Provider credits"), page.get_by_label("Reason")
    expect(amount).to_have_value("-12.5")

    # Zero is refused at its field, and the typed reason stays.
    device.write(amount, "0")
    device.write(reason, REASON)
    device.press(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Enter an amount other than zero.")).to_be_visible()
    expect(reason).to_have_value(REASON)
    assert not ProviderEntry.objects.exists()

    device.write(amount, "-12.5")
    device.press(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Correction saved: −12.5 credits.")).to_be_visible()
    expect(result).to_contain_text("Everything explained.")
    entries = page.get_by_role("region", name="Balance changes other than videos")
    expect(entries).to_contain_text(REASON)
    expect(entries).to_contain_text("olga@example.com")
    entry = ProviderEntry.objects.get()
    assert (entry.kind, entry.amount, entry.actor, entry.reason) == ("correction", Decimal("-12.5"), olga, REASON)
    page.reload()
    assert ProviderEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("device_name", "viewport", "scheme"),
    [("mouse", DESKTOP, "light"), ("touch", PHONE, "dark")],
    ids=["mouse", "touch"],
)
def test_a_decision_about_a_file_is_recorded_from_end_to_end(
    paid_video_without_file: VideoTask,
    olga: User,
    new_page: NewPage,
    device_name: str,
    viewport: tuple[int, int],
    scheme: str,
) -> None:
    page = new_page(user=olga, viewport=viewport, color_scheme=scheme, has_touch=device_name == "touch")
    device = make_device(device_name, page)
    page.goto(PATH)
    files = page.get_by_role("region", name="File differences")
    row = files.get_by_role("listitem").filter(has_text="Paid, but there is no file")
    # A single choice is selected by default.
    expect(row.get_by_role("checkbox")).to_be_checked()
    device.press(row.get_by_text("Record a decision…"))
    assert find_violations(page, preload=False) == []
    assert measure_overflow(page) <= 0
    device.write(row.get_by_label("Reason"), REASON)
    device.press(row.get_by_role("button", name="Save"))
    expect(page.get_by_text("Decisions saved: 1.")).to_be_visible()
    expect(row).to_have_count(1)
    expect(row).to_contain_text(f"{REASON} · olga@example.com")
    expect(row.get_by_role("checkbox")).to_have_count(0)
    assert FileAnswer.objects.get().reference == paid_video_without_file.reference
    # The other file still needs a decision.
    expect(files.get_by_text("videos/2026/09/stray.mp4")).to_be_visible()
    assert find_violations(page, preload=False) == []
    assert measure_overflow(page) <= 0
