"""Chart geometry: the coordinates of every bar, line and label. Templates turn them into SVG."""

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
from billing.reports.balance_curve import BalanceCurve, Point
from billing.reports.cost_totals import Sums

# Chart widths in pixels, for a desktop column and for a phone, where the desktop chart would be too small to read.
WIDE, NARROW = 760, 330
HEIGHT = 220
_TOP, _BOTTOM, _RIGHT = 18, 24, 6
_LABEL_GAP, _DIGIT = 10, 7
# A top-up closer than _LABEL_WIDTH to the last labelled one gets no label; more than _MAX_LABELLED get none.
_LABEL_WIDTH, _MAX_LABELLED = 68, 8


@dataclass(frozen=True)
class Line:
    """A horizontal line with its label."""

    y: float
    label: str


@dataclass(frozen=True)
class Label:
    """A label under the chart."""

    x: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The size of a chart, its grid lines and the labels below. `max_amount` is the amount at the top line."""

    width: int
    height: int
    left: int
    right: float
    bottom: float
    max_amount: float
    grid: list[Line]
    labels: list[Label]

    def y(self, amount: Decimal) -> float:
        """Return the vertical position of an amount."""
        return round(self.bottom - max(float(amount), 0.0) / self.max_amount * (self.bottom - _TOP), 1)

    def height_of(self, amount: Decimal) -> float:
        return round(self.bottom - self.y(amount), 1)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The bars of one window (an hour, day or month): the estimate, and next to it the actual cost.

    The estimates of open jobs are stacked on the actual cost.
    """

    start: datetime
    label: str
    hover_area: str  # a path that covers the whole slot
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
            "when": self.label,
            "estimate": format_amount(self.sums["estimated"]),
            "actual": format_amount(self.sums["actual"]),
            "open": format_amount(self.sums.open),
        }

    @property
    def estimate(self) -> str:
        return _rectangle(self.x, self.estimate_y, self.width, self.estimate_height)

    @property
    def actual(self) -> str:
        return _rectangle(self.actual_x, self.actual_y, self.width, self.actual_height)

    @property
    def unsettled(self) -> str:
        return _rectangle(self.actual_x, self.open_y, self.width, self.open_height) if self.open_height else ""


@dataclass(frozen=True)
class BarChart:
    """Pairs of bars, each pair in the middle of its slot."""

    frame: Frame
    bars: list[Bar]


@dataclass(frozen=True)
class TopUpMark:
    """A top-up on the balance chart. `is_labelled` is true when there is room to show its amount."""

    x: float
    y: float
    label: str
    anchor: str
    is_labelled: bool


@dataclass(frozen=True)
class BalanceChart:
    """The balance as a stepped path, the area under it, the forecast, the thresholds and the top-ups."""

    frame: Frame
    path: str
    area: str
    forecast: str
    thresholds: list[tuple[str, Line]]
    marks: list[TopUpMark]
    end: tuple[float, float] | None

    @property
    def span(self) -> float:
        """The width between the margins."""
        return self.frame.right - self.frame.left


def build_bar_chart(windows: Sequence[Window], sums: Mapping[datetime, Sums], *, width: int = WIDE) -> BarChart:
    """Lay out the estimate and the actual cost of each window."""
    sums_of_windows = [sums.get(window.starts_at) or Sums() for window in windows]
    highest = max(
        (max(window_sums["estimated"], window_sums.cost) for window_sums in sums_of_windows), default=Decimal(0)
    )
    frame = _build_frame(width, HEIGHT, highest)
    slot = (frame.right - frame.left) / len(windows)
    bar_width = min(max(slot * 0.36, 1.5), 22.0)
    label_step = _label_step(len(windows), 12 if width >= WIDE else 6)
    bars = []
    for n, (window, window_sums) in enumerate(zip(windows, sums_of_windows, strict=True)):
        if n % label_step == 0:
            frame.labels.append(Label(round(frame.left + (n + 0.5) * slot, 1), format_window_short(window)))
        x = frame.left + n * slot + (slot - 2 * bar_width - 1) / 2
        actual_height, open_height = frame.height_of(window_sums["actual"]), frame.height_of(window_sums.open)
        bars.append(
            Bar(
                start=window.starts_at,
                label=format_window(window),
                hover_area=_rectangle(round(frame.left + n * slot, 1), 0.0, round(slot, 1), frame.bottom),
                x=round(x, 1),
                width=round(bar_width, 1),
                estimate_y=frame.y(window_sums["estimated"]),
                estimate_height=frame.height_of(window_sums["estimated"]),
                actual_x=round(x + bar_width + 1, 1),
                actual_y=frame.bottom - actual_height,
                actual_height=actual_height,
                open_y=round(frame.bottom - actual_height - open_height, 1),
                open_height=open_height,
                sums=window_sums,
            )
        )
    return BarChart(frame, bars)


def build_balance_chart(
    curve: BalanceCurve,
    *,
    since: datetime,
    until: datetime,
    low: Decimal,
    critical: Decimal,
    forecast: Sequence[Point] = (),
    width: int = WIDE,
    height: int = HEIGHT,
) -> BalanceChart:
    """Lay out the curve from `since` to `until`, and its forecast."""
    frame = _build_frame(width, height, max([low * 2, *(point.balance for point in curve.points)]))
    span_s = (until - since).total_seconds()

    def x(at: datetime) -> float:
        share = min(max((at - since).total_seconds() / span_s, 0.0), 1.0)
        return round(frame.left + share * (frame.right - frame.left), 1)

    steps: list[str] = []
    for point in curve.points:
        # A balance stays until the next reading.
        steps.append(
            f"H{x(point.at)}V{frame.y(point.balance)}" if steps else f"M{x(point.at)} {frame.y(point.balance)}"
        )
    frame.labels.extend(_time_labels(since, until, x, 6 if width >= WIDE else 4))
    last = curve.points[-1] if curve.points else None
    return BalanceChart(
        frame=frame,
        path="".join(steps),
        area=f"{''.join(steps)}V{frame.bottom}H{x(curve.points[0].at)}Z" if steps else "",
        forecast="".join(
            f"{'L' if n else 'M'}{x(point.at)} {frame.y(point.balance)}" for n, point in enumerate(forecast)
        ),
        thresholds=[
            ("low", Line(frame.y(low), format_amount(low))),
            ("critical", Line(frame.y(critical), format_amount(critical))),
        ],
        marks=list(_build_marks(curve, frame, x)),
        end=(x(last.at), frame.y(last.balance)) if last else None,
    )


def format_window(window: Window) -> str:
    """Format a window for sentences and tables: `14:00`, `21 Nov 2026`, `November 2026`."""
    local = window.local_start
    if window.period == Period.HOUR:
        return formats.time_format(local.time(), "TIME_FORMAT")
    return formats.date_format(local, "YEAR_MONTH_FORMAT" if window.period == Period.MONTH else "DATE_FORMAT")


def format_window_short(window: Window) -> str:
    """Format a window as a label on the axis: `14`, `21 Nov`, `Nov`."""
    local = window.local_start
    if window.period == Period.HOUR:
        return f"{local:%H}"
    return formats.date_format(local, "M" if window.period == Period.MONTH else "MONTH_DAY_FORMAT")


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle as a path, which is shorter than a `rect`; a page has hundreds of them."""
    return f"M{x} {y}h{width}v{height}h{-width}z"


def _build_marks(curve: BalanceCurve, frame: Frame, x: Callable[[datetime], float]) -> Iterator[TopUpMark]:
    last_labelled_x = -float(frame.width)
    for top_up in curve.top_ups:
        top_up_x = x(top_up.at)
        is_labelled = top_up_x - last_labelled_x >= _LABEL_WIDTH and len(curve.top_ups) <= _MAX_LABELLED
        last_labelled_x = top_up_x if is_labelled else last_labelled_x
        half = _LABEL_WIDTH / 2
        anchor = "end" if top_up_x > frame.right - half else "start" if top_up_x < frame.left + half else "middle"
        y = frame.y(_balance_after(curve, top_up.at))
        yield TopUpMark(top_up_x, y, f"+{format_amount(top_up.balance)}", anchor, is_labelled)


def _balance_after(curve: BalanceCurve, at: datetime) -> Decimal:
    """Return the first balance read at or after a top-up, so that it is included; the last balance if there is none."""
    last = curve.points[-1].balance if curve.points else Decimal(0)
    return next((point.balance for point in curve.points if point.at >= at), last)


def _time_labels(since: datetime, until: datetime, x: Callable[[datetime], float], limit: int) -> Iterator[Label]:
    """Label whole hours, days or months, at most `limit` of them."""
    days = (until - since).days
    period = Period.HOUR if days <= 2 else Period.DAY if days <= 62 else Period.MONTH
    windows = list(windows_between(period, since, until))
    for window in windows[:: _label_step(len(windows), limit)]:
        text = format_window(window) if period == Period.HOUR else format_window_short(window)
        yield Label(x(window.starts_at), text)


def _build_frame(width: int, height: int, max_amount: Decimal) -> Frame:
    """Return a frame for amounts from zero to `max_amount` with two to six grid lines at round numbers."""
    highest = max(float(max_amount), 10.0)
    unit = 10.0 ** floor(log10(highest / 2))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if highest <= unit * n * 5)
    count = ceil(highest / step)
    texts = [format_amount(Decimal(str(round(n * step, 4)))) for n in range(count + 1)]
    bottom = float(height - _BOTTOM)
    return Frame(
        width=width,
        height=height,
        left=_LABEL_GAP + _DIGIT * max(map(len, texts)),
        right=float(width - _RIGHT),
        bottom=bottom,
        max_amount=count * step,
        grid=[Line(round(bottom - n / count * (bottom - _TOP), 1), text) for n, text in enumerate(texts)],
        labels=[],
    )


def _label_step(count: int, limit: int) -> int:
    """Return n such that a label at every n-th of `count` items gives at most `limit` labels."""
    minimum = ceil(count / limit)
    return next((step for step in (1, 2, 3, 4, 6, 7, 10, 14) if step >= minimum), minimum)
