"""Charts as numbers for SVG: where each bar, line and label stands. Templates draw them; nothing here is markup."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil, floor, log10

from django.utils import formats
from django.utils.translation import gettext as _

from billing.common.formatting import format_amount
from billing.common.periods import Window, windows_between
from billing.models import Period
from billing.reports.balance import Curve, Point
from billing.reports.readings import Sums

# Pixels: of a desktop's column, and of a phone, where the same drawing would be too small to read.
WIDE, NARROW = 760, 330
HEIGHT = 220
_TOP, _BOTTOM, _RIGHT = 18, 24, 6
_LABEL_GAP, _DIGIT = 10, 7
# Top-ups closer than this to the last one that bears its amount bear none; of many none does.
_ROOM_FOR_WORDS, _MOST_WORDS = 68, 8


@dataclass(frozen=True)
class Line:
    """A line across, with its label."""

    y: float
    label: str


@dataclass(frozen=True)
class Label:
    """Words under the chart."""

    x: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A chart's size, its lines across and its words below."""

    width: int
    height: int
    left: int
    right: float
    bottom: float
    top: float
    grid: list[Line]
    labels: list[Label]

    def y(self, amount: Decimal) -> float:
        """How high an amount stands."""
        return round(self.bottom - max(float(amount), 0.0) / self.top * (self.bottom - _TOP), 1)

    def height_of(self, amount: Decimal) -> float:
        return round(self.bottom - self.y(amount), 1)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One window: the estimate beside what it really cost, on which stands what is not settled yet."""

    start: datetime
    words: str
    hit: str  # a path over the whole slot
    x: float
    width: float
    estimate_y: float
    estimate_height: float
    actual_x: float
    actual_y: float
    actual_height: float
    open_y: float
    open_height: float
    sums: Sums

    @property
    def title(self) -> str:
        return _("%(when)s: estimate %(estimate)s, actual %(actual)s, open %(open)s") % {
            "when": self.words,
            "estimate": format_amount(self.sums["estimated"]),
            "actual": format_amount(self.sums["actual"]),
            "open": format_amount(self.sums.open),
        }

    @property
    def estimate(self) -> str:
        return _box(self.x, self.estimate_y, self.width, self.estimate_height)

    @property
    def actual(self) -> str:
        return _box(self.actual_x, self.actual_y, self.width, self.actual_height)

    @property
    def unsettled(self) -> str:
        return _box(self.actual_x, self.open_y, self.width, self.open_height) if self.open_height else ""


@dataclass(frozen=True)
class Bars:
    """Pairs of bars, each in the middle of a slot."""

    frame: Frame
    bars: list[Bar]


@dataclass(frozen=True)
class Mark:
    """A top-up: where it stands, how much it was, and whether there is room to write that beside it."""

    x: float
    y: float
    words: str
    anchor: str
    is_labelled: bool


@dataclass(frozen=True)
class Balances:
    """The balance as a path of steps, the area under it, thresholds and top-ups."""

    frame: Frame
    path: str
    area: str
    ahead: str
    thresholds: list[tuple[str, Line]]
    marks: list[Mark]
    end: tuple[float, float] | None

    @property
    def span(self) -> float:
        """How wide the drawing is between its margins."""
        return self.frame.right - self.frame.left


def bars(windows: Sequence[Window], sums: Mapping[datetime, Sums], *, width: int = WIDE) -> Bars:
    """Estimate and actual of each window."""
    shown = [sums.get(one.starts_at) or Sums() for one in windows]
    frame = _frame(width, HEIGHT, max((max(one["estimated"], one.cost) for one in shown), default=Decimal(0)))
    slot = (frame.right - frame.left) / len(windows)
    bar = min(max(slot * 0.36, 1.5), 22.0)
    every = _every(len(windows), 12 if width >= WIDE else 6)
    made = []
    for n, (one, its) in enumerate(zip(windows, shown, strict=True)):
        if n % every == 0:
            frame.labels.append(Label(round(frame.left + (n + 0.5) * slot, 1), short_name_of(one)))
        x = frame.left + n * slot + (slot - 2 * bar - 1) / 2
        actual, still_open = frame.height_of(its["actual"]), frame.height_of(its.open)
        made.append(
            Bar(
                start=one.starts_at,
                words=name_of(one),
                hit=_box(round(frame.left + n * slot, 1), 0.0, round(slot, 1), frame.bottom),
                x=round(x, 1),
                width=round(bar, 1),
                estimate_y=frame.y(its["estimated"]),
                estimate_height=frame.height_of(its["estimated"]),
                actual_x=round(x + bar + 1, 1),
                actual_y=frame.bottom - actual,
                actual_height=actual,
                open_y=round(frame.bottom - actual - still_open, 1),
                open_height=still_open,
                sums=its,
            )
        )
    return Bars(frame, made)


def balances(
    curve: Curve,
    *,
    since: datetime,
    until: datetime,
    low: Decimal,
    critical: Decimal,
    ahead: Sequence[Point] = (),
    width: int = WIDE,
    height: int = HEIGHT,
) -> Balances:
    """The curve from `since` to `until`, and where it goes from its end at this pace (`ahead`)."""
    frame = _frame(width, height, max([low * 2, *(point.balance for point in curve.points)]))
    span_s = (until - since).total_seconds()

    def x(at: datetime) -> float:
        share = min(max((at - since).total_seconds() / span_s, 0.0), 1.0)
        return round(frame.left + share * (frame.right - frame.left), 1)

    steps: list[str] = []
    for point in curve.points:
        # Held until the next reading.
        steps.append(
            f"H{x(point.at)}V{frame.y(point.balance)}" if steps else f"M{x(point.at)} {frame.y(point.balance)}"
        )
    frame.labels.extend(_time_labels(since, until, x, 6 if width >= WIDE else 4))
    last = curve.points[-1] if curve.points else None
    return Balances(
        frame=frame,
        path="".join(steps),
        area=f"{''.join(steps)}V{frame.bottom}H{x(curve.points[0].at)}Z" if steps else "",
        ahead="".join(f"{'L' if n else 'M'}{x(point.at)} {frame.y(point.balance)}" for n, point in enumerate(ahead)),
        thresholds=[
            ("low", Line(frame.y(low), format_amount(low))),
            ("critical", Line(frame.y(critical), format_amount(critical))),
        ],
        marks=list(_marks(curve, frame, x)),
        end=(x(last.at), frame.y(last.balance)) if last else None,
    )


def name_of(one: Window) -> str:
    """A window's name, as sentences and tables need it: `14:00`, `21 Nov 2026`, `November 2026`."""
    local = one.local_start
    if one.period == Period.HOUR:
        return formats.time_format(local.time(), "TIME_FORMAT")
    return formats.date_format(local, "YEAR_MONTH_FORMAT" if one.period == Period.MONTH else "DATE_FORMAT")


def short_name_of(one: Window) -> str:
    """The same under a bar: `14`, `21 Nov`, `Nov`."""
    local = one.local_start
    if one.period == Period.HOUR:
        return f"{local:%H}"
    return formats.date_format(local, "M" if one.period == Period.MONTH else "MONTH_DAY_FORMAT")


def _box(x: float, y: float, width: float, height: float) -> str:
    """A rectangle as a path: one attribute instead of four, of which a page has hundreds."""
    return f"M{x} {y}h{width}v{height}h{-width}z"


def _marks(curve: Curve, frame: Frame, x: Callable[[datetime], float]) -> Iterator[Mark]:
    labelled = -float(frame.width)
    for one in curve.top_ups:
        at = x(one.at)
        is_labelled = at - labelled >= _ROOM_FOR_WORDS and len(curve.top_ups) <= _MOST_WORDS
        labelled = at if is_labelled else labelled
        half = _ROOM_FOR_WORDS / 2
        anchor = "end" if at > frame.right - half else "start" if at < frame.left + half else "middle"
        yield Mark(at, frame.y(_held(curve, one.at)), f"+{format_amount(one.balance)}", anchor, is_labelled)


def _held(curve: Curve, at: datetime) -> Decimal:
    """The first balance read at or after a moment: the one that shows the top-up; else the last of all."""
    last = curve.points[-1].balance if curve.points else Decimal(0)
    return next((point.balance for point in curve.points if point.at >= at), last)


def _time_labels(since: datetime, until: datetime, x: Callable[[datetime], float], most: int) -> Iterator[Label]:
    """Whole hours, days or months, at most so many."""
    days = (until - since).days
    period = Period.HOUR if days <= 2 else Period.DAY if days <= 62 else Period.MONTH
    windows = list(windows_between(period, since, until))
    for one in windows[:: _every(len(windows), most)]:
        words = name_of(one) if period == Period.HOUR else short_name_of(one)
        yield Label(x(one.starts_at), words)


def _frame(width: int, height: int, most: Decimal) -> Frame:
    """A frame for amounts up to `most`: two to six lines at round numbers, from zero."""
    highest = max(float(most), 10.0)
    unit = 10.0 ** floor(log10(highest / 2))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if highest <= unit * n * 5)
    count = ceil(highest / step)
    words = [format_amount(Decimal(str(round(n * step, 4)))) for n in range(count + 1)]
    base, top = float(height - _BOTTOM), count * step
    return Frame(
        width=width,
        height=height,
        left=_LABEL_GAP + _DIGIT * max(map(len, words)),
        right=float(width - _RIGHT),
        bottom=base,
        top=top,
        grid=[Line(round(base - n / count * (base - _TOP), 1), word) for n, word in enumerate(words)],
        labels=[],
    )


def _every(count: int, most: int) -> int:
    """Label each n-th, so that at most so many stand side by side."""
    step = ceil(count / most)
    return next((good for good in (1, 2, 3, 4, 6, 7, 10, 14) if good >= step), step)
