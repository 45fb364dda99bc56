"""A failing callable does not stop the others, and its failure is raised at the end."""

import logging

import pytest

from billing.common import run_all


def test_all_callables_run_and_the_failed_ones_are_named(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def breaks() -> None:
        raise ValueError("a secret of the trace")

    with caplog.at_level(logging.ERROR), pytest.raises(run_all.SomeCallsFailed, match=r"^1 of 3: ValueError$"):
        run_all.run_all_then_raise(lambda: done.append("first"), breaks, lambda: done.append("last"))
    assert done == ["first", "last"]
    assert [record.message for record in caplog.records] == ["a call failed"]
    run_all.run_all_then_raise(lambda: done.append("again"))
    assert done[-1] == "again"
