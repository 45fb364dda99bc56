"""Alerts about one video are resolved when it ends, however it ends, and none is raised after that."""

from collections.abc import Iterator

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.alerts import grouping as alert_grouping
from billing.alerts.grouping import MAX_SEPARATE
from billing.audit.runner import Problem
from billing.models import Alert, GroupedJob
from tests.billing import history
from tests.clocks import ManualClock
from tests.videos import video_states
from videos.audit import checks
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.lifecycle.alerts import KINDS_WHILE_RUNNING
from videos.models import VideoFile, VideoTask
from videos.pipeline import polling
from videos.providers.base import ReportState

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """The product's clock, stopped."""
    stopped_clock = ManualClock()
    with clock.replaced(stopped_clock):
        yield stopped_clock


def raise_all_alerts(task: VideoTask) -> None:
    task.refresh_from_db()
    for kind in KINDS_WHILE_RUNNING:
        task_alerts.raise_alert(task, kind)
    task_alerts.raise_alert(task, Kind.ODD_ANSWER, cause=f"callback of {task.reference}")
    assert Alert.objects.filter(resolved_at=None).count() == len(KINDS_WHILE_RUNNING) + 1


def open_alert_kinds() -> list[str]:
    return sorted(Alert.objects.filter(resolved_at=None).values_list("kind", flat=True))


def mark_stored(task: VideoTask) -> None:
    fields = {"name": "videos/x.mp4", "poster_name": "posters/x.webp", "size_bytes": 1, "sha256": "a" * 64}
    VideoFile.objects.filter(task=task).update(state="stored", stored_at=task.created_at, **fields)
    assert verdicts.complete_if_stored(task_id=task.pk)


def test_alerts_about_a_video_are_resolved_when_it_is_ready(manual_clock: ManualClock, alice: User) -> None:
    task = history.make_downloading(alice)
    raise_all_alerts(task)
    mark_stored(task)
    assert open_alert_kinds() == []


def test_alerts_about_a_video_are_resolved_when_it_fails(manual_clock: ManualClock, alice: User) -> None:
    task = history.make_generating(alice)
    raise_all_alerts(task)
    assert verdicts.record_failure(task_id=task.pk, report=history.make_report(task, ReportState.FAILED), source="poll")
    assert open_alert_kinds() == []


def test_a_late_response_resolves_the_unconfirmed_alert(manual_clock: ManualClock, alice: User) -> None:
    task = history.make_unconfirmed(alice)
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.UNCONFIRMED)
    assert open_alert_kinds() == ["unconfirmed"]
    assert lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id="p-1", due_in_s=60)
    assert open_alert_kinds() == []


def test_a_late_result_resolves_alerts_raised_after_the_refund(manual_clock: ManualClock, alice: User) -> None:
    task = history.make_generating(alice)
    lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.NOT_VISIBLE)
    assert open_alert_kinds() == ["not_visible", "possible_spend"]
    assert verdicts.record_success(
        task_id=task.pk, report=history.make_report(task, ReportState.SUCCEEDED), source="repair"
    )
    mark_stored(task)
    assert open_alert_kinds() == ["late_result", "possible_spend"], "these report past events"


def test_alerts_are_resolved_when_polling_stops(manual_clock: ManualClock, alice: User) -> None:
    task = history.make_generating(alice)
    lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
    task.refresh_from_db()
    task_alerts.raise_alert(task, Kind.NOT_VISIBLE)
    polling.apply_report(task, history.make_report(task, ReportState.FAILED))
    assert open_alert_kinds() == ["possible_spend"]


def test_no_alert_is_raised_for_a_task_whose_status_has_changed(manual_clock: ManualClock, alice: User) -> None:
    outdated = history.make_generating(alice)
    assert verdicts.record_failure(
        task_id=outdated.pk, report=history.make_report(outdated, ReportState.FAILED), source="callback"
    )
    task_alerts.raise_alert(outdated, Kind.DELAYED)
    assert open_alert_kinds() == []


def test_the_audit_finds_a_video_in_a_grouped_alert(manual_clock: ManualClock, alice: User) -> None:
    for n in range(MAX_SEPARATE):
        alert_grouping.raise_job_alert(Kind.DELAYED, reference=f"video:{n}")
    task = video_states.make_generating(alice)
    manual_clock.sleep(3600)
    late = [problem.reference for problem in checks.deadlines_kept(deep=False) if isinstance(problem, Problem)]
    assert late == [task.reference]
    task_alerts.raise_alert(task, Kind.DELAYED)
    assert GroupedJob.objects.get().reference == task.reference
    assert list(checks.deadlines_kept(deep=False)) == []
