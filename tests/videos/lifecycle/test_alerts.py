"""What operators are told of one video ends when it comes to rest, however that happens, and is not told any more then."""

from collections.abc import Iterator

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.alerts import grouping as alert_grouping
from billing.alerts.grouping import MAX_SEPARATE
from billing.audit.runner import Problem
from billing.models import Alert, GatheredCause
from tests.billing import history
from tests.billing.conftest import SetClock
from tests.videos import takes
from videos.audit import checks
from videos.lifecycle import acts as lifecycle
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import verdicts
from videos.lifecycle.alerts import KINDS_WHILE_RUNNING
from videos.models import VideoFile, VideoTask
from videos.pipeline import polling
from videos.providers.base import ReportState

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


@pytest.fixture
def still() -> Iterator[SetClock]:
    """Our clock, standing still."""
    mine = SetClock()
    with clock.replaced(mine):
        yield mine


def tell_all(task: VideoTask) -> None:
    task.refresh_from_db()
    for kind in KINDS_WHILE_RUNNING:
        task_alerts.raise_alert(task, kind)
    task_alerts.raise_alert(task, Kind.ODD_ANSWER, cause=f"callback of {task.reference}")
    assert Alert.objects.filter(resolved_at=None).count() == len(KINDS_WHILE_RUNNING) + 1


def still_told() -> list[str]:
    return sorted(Alert.objects.filter(resolved_at=None).values_list("kind", flat=True))


def stored(task: VideoTask) -> None:
    found = {"name": "videos/x.mp4", "poster_name": "posters/x.webp", "size_bytes": 1, "sha256": "a" * 64}
    VideoFile.objects.filter(task=task).update(state="stored", stored_at=task.created_at, **found)
    assert verdicts.complete_if_stored(task_id=task.pk)


def test_a_video_that_is_ready_is_neither_late_nor_unknown_any_more(still: SetClock, alice: User) -> None:
    task = history.downloading(alice)
    tell_all(task)
    stored(task)
    assert still_told() == []


def test_nor_is_one_that_failed(still: SetClock, alice: User) -> None:
    task = history.generating(alice)
    tell_all(task)
    assert verdicts.record_failure(task_id=task.pk, report=history.report(task, ReportState.FAILED), source="poll")
    assert still_told() == []


def test_an_answer_that_comes_late_confirms_the_request(still: SetClock, alice: User) -> None:
    task = history.unconfirmed(alice)
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.UNCONFIRMED)
    assert still_told() == ["unconfirmed"]
    assert lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id="p-1", due_in_s=60)
    assert still_told() == []


def test_a_late_result_ends_what_was_told_after_the_refund(still: SetClock, alice: User) -> None:
    task = history.generating(alice)
    lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.NOT_VISIBLE)
    assert still_told() == ["not_visible", "possible_spend"]
    assert verdicts.record_success(task_id=task.pk, report=history.report(task, ReportState.SUCCEEDED), source="repair")
    stored(task)
    assert still_told() == ["late_result", "possible_spend"], "these have happened"


def test_who_is_not_watched_any_more_is_not_told_of(still: SetClock, alice: User) -> None:
    task = history.generating(alice)
    lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.NOT_VISIBLE)
    polling.apply_report(task, history.report(task, ReportState.FAILED))
    assert still_told() == ["possible_spend"]


def test_what_has_moved_on_is_not_told_of(still: SetClock, alice: User) -> None:
    seen = history.generating(alice)
    assert verdicts.record_failure(task_id=seen.pk, report=history.report(seen, ReportState.FAILED), source="callback")
    task_alerts.raise_alert(seen, Kind.DELAYED)
    assert still_told() == []


def test_the_books_know_who_was_told_of_among_many(still: SetClock, alice: User) -> None:
    for n in range(MAX_SEPARATE):
        alert_grouping.raise_job_alert(Kind.DELAYED, reference=f"video:{n}")
    task = takes.generating(alice)
    still.sleep(3600)
    late = [found.reference for found in checks.deadlines(deep=False) if isinstance(found, Problem)]
    assert late == [task.reference]
    task_alerts.raise_alert(task, Kind.DELAYED)
    assert GatheredCause.objects.get().reference == task.reference
    assert list(checks.deadlines(deep=False)) == []
