"""One chore that fails holds up none of the others, and is heard of."""

import logging

import pytest

from billing.common import run_all


def test_all_chores_are_tried_and_who_failed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def breaks() -> None:
        raise ValueError("a secret of the trace")

    with caplog.at_level(logging.ERROR), pytest.raises(run_all.SomeCallsFailed, match=r"^1 of 3: ValueError$"):
        run_all.run_all_then_raise(lambda: done.append("first"), breaks, lambda: done.append("last"))
    assert done == ["first", "last"]
    assert [record.message for record in caplog.records] == ["a chore failed"]
    run_all.run_all_then_raise(lambda: done.append("again"))
    assert done[-1] == "again"
