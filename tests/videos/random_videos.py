"""Orders videos and changes their status at random, without a provider: `python -m tests.videos.random_videos SEED STEPS`.

Run as a program it waits for a line on its input before it starts, so that several processes start together.
"""

import random
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.seams import clock
from billing.costs import spend
from billing.credits import ledger
from billing.guard.checks import Wait
from billing.models import ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from videos.audit import recount
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import CallbackReceipt, VideoFile, VideoTask
from videos.ordering import catalogue, orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import polling
from videos.providers.base import RefusalReason, Report, ReportState

Status = VideoTask.Status

# Just before the night when the clocks in Berlin are set back, and a week before the end of a month.
STARTS_AT = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
REPORTED_COSTS = (None, Decimal("37.5"), Decimal("0.1234"), Decimal(250))


class JumpingClock:
    """A clock that a test moves; every reading is 1 ms later than the one before."""

    def __init__(self) -> None:
        self.at = STARTS_AT

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class RandomVideos:
    """Each step orders a video or advances one, at random."""

    def __init__(self, users: list[User], seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.users = users
        self.tasks: list[Any] = []
        self.account: ProviderAccount = provider_accounts.get_current_account()

    def step(self, jumping: JumpingClock) -> None:
        jumping.sleep(self.random.choice((0.5, 61, 700, 5000)))
        if not self.tasks or self.random.random() < 0.2:
            self._order()
        else:
            self._advance(self.random.choice(self.tasks[-40:]))

    def _order(self) -> None:
        user = self.random.choice(self.users)
        order = VideoOrder(prompt="a kite", model=self.random.choice(sorted(catalogue.MODELS)))
        price = order.quote().user_credits
        key = f"random-{self.seed}-{len(self.tasks)}"
        ledger.grant(user=user, user_credits=price, idempotency_key=f"grant:{key}", note="for a random video")
        self.tasks.append(orders.create(user=user, order=order, idempotency_key=key).pk)

    def _advance(self, task_id: Any) -> None:
        task = VideoTask.objects.select_related("account").get(pk=task_id)
        change_status = getattr(self, f"_from_{task.status}", None)
        if change_status is not None:
            change_status(task)

    def _from_queued(self, task: VideoTask) -> None:
        if self.random.random() < 0.1:
            lifecycle.cancel(task_id=task.pk, code="user", actor=task.user)
            return
        with transaction.atomic():
            account = provider_accounts.lock_account(self.account.pk)
            if lifecycle.claim(task_id=task.pk, account_id=account.pk, token_hash="") is not None:
                spend.promise(spend=Spend.objects.get(job_id=task.pk), account=account)

    def _from_submitting(self, task: VideoTask) -> None:
        claim: Any = {"task_id": task.pk, "fence": task.fence}
        match self.random.randrange(8):
            case 0:
                lifecycle.requeue(**claim, wait=Wait("rate", clock.database_now()))
            case 1:
                lifecycle.refuse(**claim, reason="moderation", detail="")
            case 2 | 3:
                lifecycle.mark_unconfirmed(**claim, detail="")
            case _:
                lifecycle.accept(**claim, provider_task_id=f"provider-{task.pk}", due_in_s=1)

    def _from_unconfirmed(self, task: VideoTask) -> None:
        match self.random.randrange(3):
            case 0:
                lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id=f"provider-{task.pk}", due_in_s=1)
            case 1:
                lifecycle.adopt(task_id=task.pk, provider_task_id=f"provider-{task.pk}")
            case _:
                lifecycle.give_up(task_id=task.pk, from_=task.status, code="unconfirmed")

    def _from_generating(self, task: VideoTask) -> None:
        match self.random.randrange(8):
            case 0:
                settings.CHARGED_WHEN_FAILED = self.random.random() < 0.5
                polling.apply_report(task, self._report(task, ReportState.FAILED))
            case 1:
                lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
            case 2 | 3:
                CallbackReceipt.objects.create(task=task, body_sha256="0" * 64, verdict="used")
                polling.apply_report(task, self._report(task, ReportState.SUCCEEDED))
            case _:
                polling.apply_report(task, self._report(task, ReportState.SUCCEEDED))

    def _from_downloading(self, task: VideoTask) -> None:
        if self.random.random() < 0.1:
            lifecycle.give_up(task_id=task.pk, from_=task.status, code="no_file")
        else:
            self._store(task)

    def _from_failed(self, task: VideoTask) -> None:
        """A result may still arrive after the refund, also twice."""
        if task.provider_task_id is None:
            lifecycle.adopt(task_id=task.pk, provider_task_id=f"provider-{task.pk}")
        elif self.random.random() < 0.5:
            polling.apply_report(
                task, self._report(task, self.random.choice((ReportState.SUCCEEDED, ReportState.FAILED)))
            )
        else:
            self._store(task)

    def _store(self, task: VideoTask) -> None:
        with transaction.atomic():
            VideoFile.objects.filter(task=task).update(
                state=VideoFile.State.STORED,
                stored_at=clock.database_now(),
                name=f"{task.pk}.mp4",
                size_bytes=1,
                sha256="0",
            )
            verdicts.complete_if_stored(task_id=task.pk)

    def _report(self, task: VideoTask, state: ReportState) -> Report:
        return Report(
            provider_task_id=task.provider_task_id or "",
            state=state,
            reason=self.random.choice((*RefusalReason, None)) if state == ReportState.FAILED else None,
            result_urls=("https://files.example/video.mp4",) if state == ReportState.SUCCEEDED else (),
            provider_credits=self.random.choice(REPORTED_COSTS),
        )


def lift_limits(settings: Any) -> None:
    """Remove every limit, so that no order waits or is refused."""
    settings.TIME_ZONE = "Europe/Berlin"
    for name in ("HOURLY", "DAILY", "MONTHLY", "USER_DAILY"):
        setattr(settings, f"{name}_COST_LIMIT", Decimal(0))
    settings.MAX_ACTIVE_PER_USER = 10_000
    settings.MAX_QUEUE_WAIT_MINUTES = 10**6


def main(seed: int, steps: int) -> None:
    lift_limits(settings)
    videos = RandomVideos(list(User.objects.order_by("pk")), seed)
    print("ready", flush=True)
    sys.stdin.readline()
    jumping = JumpingClock()
    with clock.replaced(jumping):
        for n in range(steps):
            videos.step(jumping)
            if n % 25 == seed % 25:
                recount.fold()
    print(len(videos.tasks), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
