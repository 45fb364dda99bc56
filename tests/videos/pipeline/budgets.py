"""Limits, orders and claims for tests of budgets."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.models import User
from billing.budgets.limits import set_limit
from billing.guard import checks as guard_checks
from tests.people import give_credits
from videos.models import VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch

FAST = 60


def limit(amount: int | None, *, period: str = "day", subject: str = "all", **whose: Any) -> None:
    wanted = None if amount is None else Decimal(amount)
    set_limit(subject=subject, period=period, limit=wanted, actor=None, **whose)


def order(user: User, model: str = "veo3_fast") -> VideoTask:
    wanted = VideoOrder(prompt="a kite", model=model)
    give_credits(user, wanted.quote().user_credits)
    before = VideoTask.objects.count()
    task = orders.create(user=user, order=wanted, idempotency_key=f"{user.pk}-{before}")
    # The clock is stopped, so the order of creation needs distinct times.
    VideoTask.objects.filter(pk=task.pk).update(created_at=task.created_at + timedelta(microseconds=before))
    return task


def reload(task: VideoTask) -> VideoTask:
    return VideoTask.objects.get(pk=task.pk)


def claim(provider: int) -> VideoTask:
    step = dispatch.claim_next(provider)
    assert isinstance(step, dispatch.Claim), step
    return step.task


def expect_wait(provider: int) -> guard_checks.Wait:
    step = dispatch.claim_next(provider)
    assert isinstance(step, guard_checks.Wait), step
    return step
