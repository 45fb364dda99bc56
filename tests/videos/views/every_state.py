"""Videos of one user in every state that the gallery and the studio show, for tests of their query counts."""

from datetime import timedelta

from accounts.models import User
from accounts.seams import clock
from tests.videos import video_states
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import VideoTask
from videos.providers.base import Report, ReportState

# One code for each kind of wait: for its turn, an operator, the account, the provider, and budgets, whose end is known.
WAIT_CODES = ("slot", "own_slot", "paused", "held", "access_denied", "balance", "breaker", "budget_day", "budget_user")


def make_every_state(user: User) -> list[VideoTask]:
    """A queued video for each kind of wait, one without a known reason, and one video in every other state."""
    waiting = [_make_waiting(user, code) for code in WAIT_CODES]
    downloading, delayed = video_states.make_generating(user), video_states.make_generating(user)
    verdicts.record_success(
        task_id=downloading.pk,
        report=Report(
            provider_task_id=downloading.pk.hex,
            state=ReportState.SUCCEEDED,
            result_urls=["https://files.example/v.mp4"],
        ),
        source="poll",
    )
    lifecycle.mark_delayed(task_id=delayed.pk)
    others = [
        video_states.make_queued(user),
        video_states.make_submitting(user),
        video_states.make_unconfirmed(user),
        video_states.make_generating(user),
        video_states.make_ready(user),
        video_states.make_refused(user),
        video_states.make_cancelled(user),
        video_states.make_late(user),
    ]
    return [*waiting, downloading, delayed, *others]


def _make_waiting(user: User, code: str) -> VideoTask:
    task = video_states.make_queued(user)
    until = clock.now() + timedelta(minutes=10)
    ends_at = until + timedelta(hours=5) if code.startswith("budget_") else until
    VideoTask.objects.filter(pk=task.pk).update(wait_code=code, wait_until=ends_at, due_at=until)
    return task
