"""A failing callable does not stop the others, and its failure is raised at the end."""

import logging

import pytest

from billing.common import run_all


def test_all_callables_run_and_the_failed_ones_are_named(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def raise_error() -> None:
        raise ValueError("a secret in the traceback")

    with caplog.at_level(logging.ERROR), pytest.raises(run_all.SomeCallsFailed, match=r"^1 of 3: ValueError$"):
        run_all.run_all_then_raise(lambda: calls.append("first"), raise_error, lambda: calls.append("last"))
    assert calls == ["first", "last"]
    assert [record.message for record in caplog.records] == ["a call failed"]
    run_all.run_all_then_raise(lambda: calls.append("again"))
    assert calls[-1] == "again"
