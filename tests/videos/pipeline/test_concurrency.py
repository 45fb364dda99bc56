"""Parallel calls inside one job: their number is limited, and each item is chosen as late as possible."""

import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from videos.pipeline import concurrency


@pytest.mark.parametrize(("threads", "max_threads", "max_running"), [(2, None, 2), (8, 3, 3), (2, 5, 2), (0, 5, 1)])
def test_an_item_is_taken_only_when_a_thread_is_free_for_it(
    settings: Settings, threads: int, max_threads: int | None, max_running: int
) -> None:
    settings.JOB_THREADS = threads
    done: list[int] = []
    running_when_taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            running_when_taken.append(number - len(done))
            yield number

    def handle(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    assert concurrency.run_each(handle, items(), max_threads=max_threads) == 10
    assert sorted(done) == list(range(10))
    assert max(running_when_taken) == max_running - 1


def test_an_error_stops_no_other_item_and_is_raised_at_the_end(settings: Settings) -> None:
    settings.JOB_THREADS = 2
    done: list[int] = []

    def handle(number: int) -> None:
        if number == 0:
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="0"):
        concurrency.run_each(handle, range(5))
    assert sorted(done) == [1, 2, 3, 4]
