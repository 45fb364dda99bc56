"""Helpers that set budgets, order videos and claim them, for tests of budgets."""

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

# The provider credits that one Fast video costs.
FAST = 60


def limit(amount: int | None, *, period: str = "day", subject: str = "all", **target: Any) -> None:
    """Set a budget in provider credits, or remove it; `target` is the user or model of the subject."""
    budget = None if amount is None else Decimal(amount)
    set_limit(subject=subject, period=period, limit=budget, actor=None, **target)


def order(user: User, model: str = "veo3_fast") -> VideoTask:
    video_order = VideoOrder(prompt="a kite", model=model)
    give_credits(user, video_order.quote().user_credits)
    earlier_tasks = VideoTask.objects.count()
    task = orders.create(user=user, order=video_order, idempotency_key=f"{user.pk}-{earlier_tasks}")
    # The clock is stopped, so give every task its own creation time.
    VideoTask.objects.filter(pk=task.pk).update(created_at=task.created_at + timedelta(microseconds=earlier_tasks))
    return task


def reload(task: VideoTask) -> VideoTask:
    return VideoTask.objects.get(pk=task.pk)


def claim(provider: int) -> VideoTask:
    """Claim the next task, which must be possible."""
    result = dispatch.claim_next(provider)
    assert isinstance(result, dispatch.Claim), result
    return result.task


def expect_wait(provider: int) -> guard_checks.Wait:
    """Try to claim a task, which must not be possible; returns the reason."""
    result = dispatch.claim_next(provider)
    assert isinstance(result, guard_checks.Wait), result
    return result
