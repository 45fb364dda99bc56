"""Charts as numbers for SVG: where each bar, line and label stands. Templates draw them; nothing here is markup."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor, log10

from django.utils import formats

from billing.amounts import localised
from billing.dashboard.balance import Curve
from billing.dashboard.readings import Sums
from billing.models import Period
from billing.windows import Window, site_zone

# Pixels: of a desktop's column, and of a phone, where the same drawing would be too small to read.
WIDE, NARROW = 760, 330
HEIGHT = 220
_TOP, _BOTTOM, _LEFT, _RIGHT = 12, 24, 46, 6


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
    left: float
    right: float
    bottom: float
    grid: list[Line]
    labels: list[Label]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One window: the estimate beside what it really cost, on which stands what is not settled yet."""

    start: datetime
    words: str
    x: float
    slot: float
    width: float
    estimate_y: float
    estimate_height: float
    actual_x: float
    actual_y: float
    actual_height: float
    open_y: float
    open_height: float
    sums: Sums


@dataclass(frozen=True)
class Bars:
    """Pairs of bars, each in the middle of a slot."""

    frame: Frame
    bars: list[Bar]
    slot: float


@dataclass(frozen=True)
class Mark:
    """A top-up: where it stands and how much it was."""

    x: float
    y: float
    words: str
    anchor: str


@dataclass(frozen=True)
class Balances:
    """The balance as a path of steps, the area under it, thresholds and top-ups."""

    frame: Frame
    path: str
    area: str
    thresholds: list[tuple[str, Line]]
    marks: list[Mark]
    end: tuple[float, float]


def bars(windows: Sequence[Window], sums: Mapping[datetime, Sums], *, width: int = WIDE) -> Bars:
    """Estimate and actual of each window."""
    shown = [sums.get(one.starts_at) or Sums() for one in windows]
    top, grid = _scale(max((max(one["estimated"], one.cost) for one in shown), default=Decimal(0)))
    slot = (width - _LEFT - _RIGHT) / len(windows)
    bar = min(max(slot * 0.36, 1.5), 22.0)
    base = float(HEIGHT - _BOTTOM)

    def height(amount: Decimal) -> float:
        return round(max(float(amount), 0.0) / top * (base - _TOP), 1)

    made = []
    for n, (one, its) in enumerate(zip(windows, shown, strict=True)):
        x = _LEFT + n * slot + (slot - 2 * bar - 1) / 2
        actual, still_open = height(its["actual"]), height(its.open)
        made.append(
            Bar(
                start=one.starts_at,
                words=name_of(one),
                x=round(x, 1),
                slot=round(_LEFT + n * slot, 1),
                width=round(bar, 1),
                estimate_y=base - height(its["estimated"]),
                estimate_height=height(its["estimated"]),
                actual_x=round(x + bar + 1, 1),
                actual_y=base - actual,
                actual_height=actual,
                open_y=base - actual - still_open,
                open_height=still_open,
                sums=its,
            )
        )
    labels = [
        Label(round(_LEFT + (n + 0.5) * slot, 1), short_name_of(one))
        for n, one in enumerate(windows)
        if n % _every(len(windows), 12 if width >= WIDE else 6) == 0
    ]
    return Bars(_frame(width, HEIGHT, grid, top, labels), made, round(slot, 1))


def balances(
    curve: Curve,
    *,
    since: datetime,
    until: datetime,
    low: Decimal,
    critical: Decimal,
    width: int = WIDE,
    height: int = HEIGHT,
) -> Balances:
    """The curve from `since` to `until`; nothing is drawn where nothing was read."""
    highest = max([low * 2, *(point.balance for point in curve.points)])
    top, grid = _scale(highest)
    span_s, base = (until - since).total_seconds(), float(height - _BOTTOM)

    def x(at: datetime) -> float:
        share = min(max((at - since).total_seconds() / span_s, 0.0), 1.0)
        return round(_LEFT + share * (width - _LEFT - _RIGHT), 1)

    def y(balance: Decimal) -> float:
        return round(base - max(float(balance), 0.0) / top * (base - _TOP), 1)

    steps: list[str] = []
    for point in curve.points:
        # Held until the next reading.
        steps.append(f"H{x(point.at)}V{y(point.balance)}" if steps else f"M{x(point.at)} {y(point.balance)}")
    last = curve.points[-1] if curve.points else None
    return Balances(
        frame=_frame(width, height, grid, top, _time_labels(since, until, x, 6 if width >= WIDE else 4)),
        path="".join(steps),
        area=f"{''.join(steps)}V{base}H{x(curve.points[0].at)}Z" if steps else "",
        thresholds=[("low", Line(y(low), localised(low))), ("critical", Line(y(critical), localised(critical)))],
        marks=[
            Mark(
                x(one.at),
                y(_held(curve, one.at)),
                f"+{localised(one.balance)}",
                "end" if x(one.at) > width * 0.8 else "start",
            )
            for one in curve.top_ups
        ],
        end=(x(last.at), y(last.balance)) if last else (0.0, 0.0),
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


def _held(curve: Curve, at: datetime) -> Decimal:
    """The first balance read at or after a moment: the one that shows the top-up."""
    later = [point.balance for point in curve.points if point.at >= at]
    return later[0] if later else curve.points[-1].balance if curve.points else Decimal(0)


def _time_labels(since: datetime, until: datetime, x: Callable[[datetime], float], most: int) -> list[Label]:
    zone, length = site_zone(), until - since
    step = length / most
    found = []
    for n in range(most):
        local = (since + n * step + step / 2).astimezone(zone)
        if length <= timedelta(days=2):
            words = formats.time_format(local.time(), "TIME_FORMAT")
        else:
            words = formats.date_format(local, "MONTH_DAY_FORMAT")
        found.append(Label(x(local), words))
    return found


def _frame(width: int, height: int, grid: list[float], top: float, labels: list[Label]) -> Frame:
    base = float(height - _BOTTOM)
    lines = [Line(round(base - at / top * (base - _TOP), 1), _short(at)) for at in grid]
    return Frame(width=width, height=height, left=_LEFT, right=width - _RIGHT, bottom=base, grid=lines, labels=labels)


def _scale(most: Decimal) -> tuple[float, list[float]]:
    """The top of the axis and its lines: two to six round numbers, from zero."""
    highest = max(float(most), 1.0)
    unit = 10.0 ** floor(log10(highest / 2))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if highest <= unit * n * 5)
    lines = ceil(highest / step)
    return lines * step, [n * step for n in range(lines + 1)]


def _short(amount: float) -> str:
    """An axis label: `1,000`, `25k`, `1.5M`."""
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if amount >= size:
            unit = size if letter == "M" else 1000
            return f"{formats.number_format(Decimal(str(amount / unit)).normalize(), use_l10n=True)}{letter}"
    return formats.number_format(Decimal(str(amount)).normalize() + 0, use_l10n=True, force_grouping=True)


def _every(count: int, most: int) -> int:
    """Label each n-th, so that at most so many stand side by side."""
    step = ceil(count / most)
    return next((good for good in (1, 2, 3, 4, 5, 6, 7, 10, 14, 30) if good >= step), step)
