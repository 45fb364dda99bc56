"""I10, I12 to I14: checks of callbacks, deadlines and events."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from accounts.models import User
from accounts.seams import clock
from billing.models import Alert
from tests.billing import history
from tests.billing.audit.breakage import (
    age,
    drop_trigger,
    find_invariants,
    find_references,
    force_delete,
    force_update,
    media,
    names_for_vendor,
)
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, TaskEvent, VideoTask

__all__ = ["media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
Status = VideoTask.Status


def test_i10_a_callback_that_was_unprocessed_when_its_video_was_given_up(alice: User) -> None:
    task = history.make_unconfirmed(alice)
    CallbackReceipt.objects.create(
        task=task, provider_task_id="abc", body_sha256="0" * 64, received_at=clock.now() - timedelta(minutes=1)
    )
    from_ = Status.UNCONFIRMED
    assert lifecycle.give_up(task_id=task.pk, from_=from_, code="unconfirmed", detail="no callback")
    assert find_references() == {("I10", task.reference)}
    CallbackReceipt.objects.update(verdict="rejected")
    assert find_references() == set()


OVERDUE: list[tuple[Callable[[User], VideoTask], dict[str, timedelta]]] = [
    (history.make_waiting, {"created_at": timedelta(hours=25)}),
    (history.make_submitting, {"lease_until": timedelta(minutes=11)}),
    (history.make_unconfirmed, {"submitted_at": timedelta(minutes=26)}),
    (history.make_generating, {"submitted_at": timedelta(minutes=26)}),
]


@pytest.mark.parametrize(("create_task", "times"), OVERDUE, ids=["queued", "submitting", "unconfirmed", "generating"])
def test_i12_a_video_past_its_deadline_without_an_alert(
    alice: User, create_task: Callable[[User], VideoTask], times: dict[str, timedelta]
) -> None:
    task = create_task(alice)
    age(task, **times)
    assert find_references() == {("I12", task.reference)}
    Alert.objects.create(kind="delayed", severity="info", reference=task.reference, window_key="reported")
    assert find_references() == set()


@pytest.mark.postgres
def test_i13_a_provider_task_that_two_videos_share(alice: User) -> None:
    first, second = history.make_generating(alice), history.make_generating(alice)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE videos_videotask DROP CONSTRAINT videos_videotask_provider_task_id_key")
    force_update(VideoTask, second.pk, provider_task_id=first.provider_task_id)
    assert find_references() == {("I13", first.provider_task_id)}


def test_i13_i14_missing_triggers_of_the_history() -> None:
    for name in names_for_vendor(
        postgresql=["veoapp_task_history"], sqlite=["veoapp_task_final", "veoapp_task_provider_id"]
    ):
        drop_trigger(name, "videos_videotask")
    drop_trigger("veoapp_event_no_change", "videos_taskevent")
    assert find_invariants() == {"I13", "I14"}
    assert ("I14", "veoapp_event_no_change") in find_references()


def test_i14_a_status_that_differs_from_its_events(alice: User) -> None:
    task = history.make_waiting(alice)
    VideoTask.objects.filter(pk=task.pk).update(status=Status.SUBMITTING, lease_until=clock.now())
    assert find_references() == {("I14", task.reference), ("I6", task.reference)}


def test_i14_a_missing_event(alice: User) -> None:
    task = history.make_generating(alice)
    force_delete(TaskEvent, TaskEvent.objects.get(task=task, kind="claimed").pk)
    assert find_references() == {("I14", task.reference)}


def test_i14_an_event_after_a_final_status(alice: User) -> None:
    task = history.make_cancelled(alice)
    TaskEvent.objects.create(task=task, kind="note", from_status=Status.CANCELLED, to_status=Status.CANCELLED)
    assert find_references() == {("I14", task.reference)}
