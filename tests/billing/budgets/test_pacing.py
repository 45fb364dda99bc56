"""Above its warning threshold a budget is released over the rest of its window: new work slows down before it stops."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from billing.budgets import pacing
from billing.budgets import usage as budget_usage
from billing.budgets.limits import ALL, user_scope
from billing.budgets.state import State
from billing.common.periods import window_at

NINE = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _pacing_in_utc(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.BUDGET_PACING = True


def hour_state(used: int, *, limit: int | None = 1000, scope: str = ALL, soft_share: str = "0.8") -> State:
    amount = None if limit is None else Decimal(limit)
    return State(scope, window_at("hour", NINE), Decimal(used), amount, Decimal(soft_share), "admin")


def test_up_to_the_warning_threshold_no_job_is_delayed() -> None:
    assert pacing.earliest_start(hour_state(740), Decimal(60), NINE) is None
    assert not pacing.is_slowed(hour_state(740), NINE)


def test_above_the_warning_threshold_the_remainder_is_released_evenly() -> None:
    # 200 credits are released over 60 minutes: a job of 60 may start after 18 minutes.
    assert pacing.earliest_start(hour_state(800), Decimal(60), NINE) == NINE + timedelta(minutes=18)
    assert pacing.is_slowed(hour_state(800), NINE)
    assert pacing.earliest_start(hour_state(800), Decimal(60), NINE + timedelta(minutes=18)) is None
    assert pacing.paced_allowance(hour_state(0), NINE + timedelta(minutes=30)) == Decimal(900)


def test_pacing_releases_exactly_the_limit_by_the_end() -> None:
    assert pacing.earliest_start(hour_state(900), Decimal(100), NINE) == NINE + timedelta(hours=1)
    assert pacing.earliest_start(hour_state(901), Decimal(100), NINE) is None, (
        "pacing does not delay a job that exceeds the limit"
    )


@pytest.mark.parametrize(
    "state", [hour_state(990, limit=None), hour_state(990, scope=user_scope(5)), hour_state(990, soft_share="1")]
)
def test_only_limited_windows_of_all_videos_are_paced(state: State) -> None:
    assert pacing.earliest_start(state, Decimal(10), NINE) is None


def test_a_remainder_too_small_for_two_jobs_is_not_paced() -> None:
    assert pacing.earliest_start(hour_state(800), Decimal(101), NINE) is None
    assert pacing.earliest_start(hour_state(0, limit=60), Decimal(60), NINE) is None


def test_pacing_can_be_switched_off(settings: Settings) -> None:
    settings.BUDGET_PACING = False
    assert pacing.earliest_start(hour_state(990), Decimal(10), NINE) is None


def test_of_several_windows_the_last_to_have_room_decides() -> None:
    states = [hour_state(800), hour_state(850), hour_state(0)]
    assert pacing.slowed_until(states, Decimal(60), NINE) == NINE + timedelta(minutes=33)
    assert pacing.slowed_until([hour_state(0)], Decimal(60), NINE) is None


def test_of_several_windows_without_room_the_one_that_ends_last_is_found() -> None:
    day = State(ALL, window_at("day", NINE), Decimal(10), Decimal(50), Decimal("0.8"), "admin")
    assert budget_usage.find_shortage([hour_state(990), day], Decimal(60)) == day
