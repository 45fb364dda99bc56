"""What must hold between the totals that pages read and the rows that they count: I23."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

from accounts.doors import clock
from billing.books import Problem
from billing.models import Period
from billing.windows import window
from videos import recount

# A whole day that went wrong need not be told line by line: `manage.py recount_totals` does.
MOST_TOLD = 20


def totals_equal_rows(*, deep: bool) -> Iterable[Problem]:
    """I23: totals are what a recount finds: of today and yesterday, or, looked at deeply, of all time.

    A month whose totals are still to be made from its rows (the worker does) is passed by.
    """
    today = window(Period.DAY, clock.now())
    stretches = [(window(Period.DAY, today.starts_at - timedelta(hours=1)).starts_at, today.ends_at)]
    if deep:
        stretches = [(month.starts_at, month.ends_at) for month in recount.months()]
    missing = [(month.starts_at, month.ends_at) for month in recount.missing_months()]
    for since, until in stretches:
        if any(begins < until and since < ends for begins, ends in missing):
            continue
        for one in islice(recount.differences(since, until), MOST_TOLD):
            yield Problem("I23", f"total of {one.key[0]} {one.key[1]:%Y-%m-%d %H:%M}", str(one))
