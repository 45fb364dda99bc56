"""The operators' actions from the pages: confirmation, effect and rights."""

from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing.models import Alert
from tests.people import make_person
from tests.videos.admin.operator_pages import LIST, perform, unconfirmed_video, video_page
from tests.videos.world import World
from videos.models import TaskEvent, VideoFile, VideoTask


def open_confirmation(staff: Client, action: str, *tasks: VideoTask) -> str:
    """The confirmation page of an action."""
    form = {"action": action, "_selected_action": [str(task.pk) for task in tasks]}
    return staff.post(LIST, form).text


def test_every_action_asks_first_and_shows_its_cost(staff: Client, world: World, alice: User) -> None:
    unconfirmed, queued = unconfirmed_video(world, alice), world.order(alice)
    text = open_confirmation(staff, "cancel_with_refund", queued, unconfirmed)
    assert "60 credits will be refunded to alice@example.com. Nothing was sent" in text
    assert "may have charged 60 provider credits" in text
    assert "This costs nothing by itself" in open_confirmation(staff, "check_now", queued)
    assert "Not possible in its current state" in open_confirmation(staff, "mark_lost", queued)
    assert "Not possible in its current state" in open_confirmation(staff, "retry_download", queued)
    assert world.reload(queued).status == "queued"
    assert world.ledger_entries(queued) == [("charge", -60)]


def test_a_queued_video_is_cancelled_and_refunded_once(staff: Client, world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    assert "60 credits refunded to alice@example.com" in perform(staff, "cancel_with_refund", task)
    world.assert_refunded(task)
    assert world.spend_state(task) == ("settled", "not_spent")
    event = TaskEvent.objects.get(task=task, kind="cancelled")
    assert event.actor == olga
    assert LogEntry.objects.get(object_id=str(task.pk)).change_message == "cancel_with_refund"
    assert "nothing was changed" in perform(staff, "cancel_with_refund", task)
    world.assert_refunded(task)


def test_a_running_video_is_cancelled_and_a_late_result_is_free(
    staff: Client, world: World, alice: User, olga: User
) -> None:
    task = world.order(alice)
    world.send()
    perform(staff, "cancel_with_refund", world.reload(task))
    world.assert_refunded(task)
    assert world.reload(task).failure_code == "operator"
    assert world.spend_state(task) == ("settled", "possible")
    assert [alert.reference for alert in world.list_alerts(Alert.Kind.POSSIBLE_SPEND)] == [task.reference]
    assert TaskEvent.objects.get(task=task, kind="failed").actor == olga
    world.advance(hours=2)
    world.run()
    assert world.reload(task).late_at is not None
    world.assert_refunded(task)
    assert world.count_submissions() == 1
    assert "Arrived late" in video_page(staff, task)


def test_a_video_that_cannot_be_downloaded_is_cancelled_at_its_known_cost(
    staff: Client, world: World, alice: User
) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)
    world.poll()
    assert world.reload(task).status == "downloading"
    assert "charged 60 provider credits" in open_confirmation(staff, "cancel_with_refund", world.reload(task))
    perform(staff, "cancel_with_refund", world.reload(task))
    world.assert_refunded(task)
    assert world.spend_state(task) == ("settled", "price_list")


def test_an_unconfirmed_video_is_marked_as_lost(staff: Client, world: World, alice: User, olga: User) -> None:
    task = unconfirmed_video(world, alice)
    assert "Marked as lost" in perform(staff, "mark_lost", world.reload(task))
    world.assert_refunded(task)
    assert world.reload(task).failure_code == "unconfirmed"
    assert TaskEvent.objects.get(task=task, kind="failed").actor == olga


def test_checking_now_makes_the_video_due_and_is_recorded(staff: Client, world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    due_before = world.reload(task).due_at
    world.sandbox.finish()
    assert world.poll() == 0
    assert "being checked now" in perform(staff, "check_now", world.reload(task))
    assert world.reload(task).due_at < due_before
    assert world.poll() == 1
    assert world.reload(task).status == "downloading"
    assert TaskEvent.objects.get(task=task, kind="note").actor == olga
    world.run()
    world.assert_charged(task)
    assert "Nothing can be done in its current state" in perform(staff, "check_now", world.reload(task))


def test_a_lost_file_is_downloaded_again(staff: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)
    world.poll()
    VideoFile.objects.filter(task=task).update(due_at=world.clock.now() + timedelta(days=3))
    assert world.download() == 0
    assert "1 file is being downloaded" in perform(staff, "retry_download", world.reload(task))
    world.run()
    world.assert_charged(task)
    assert "Nothing can be done in its current state" in perform(staff, "retry_download", world.reload(task))


def test_view_permission_alone_allows_no_action(world: World, alice: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    task = world.order(alice)
    reader = make_person("rita@example.com", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    client = Client()
    client.force_login(reader)
    text = video_page(client, task)
    assert "Cancel with refund" not in text
    perform(client, "cancel_with_refund", task)
    assert world.reload(task).status == "queued"
    without_permission = make_person("nora@example.com", is_staff=True)
    client.force_login(without_permission)
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{task.pk}/change/").status_code == 403
    assert client.get(f"{LIST}no-such/change/").status_code == 404
