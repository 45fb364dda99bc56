"""What operators see of videos, and what they may do with them. The acts are everybody's acts: money moves by them alone."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from billing.models import Alert
from tests.people import make_person
from tests.videos.world import World
from videos.lifecycle import acts as lifecycle
from videos.models import CallbackReceipt, TaskEvent, VideoFile, VideoTask

LIST = "/admin/videos/videotask/"


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser, inside the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    return client


def page(desk: Client, task: VideoTask) -> str:
    """The operators' page of a video."""
    answer = desk.get(f"{LIST}{task.pk}/change/")
    assert answer.status_code == 200
    return answer.text


def ask(desk: Client, act: str, *tasks: VideoTask) -> str:
    """The page that asks before an act."""
    form = {"action": act, "_selected_action": [str(task.pk) for task in tasks]}
    return desk.post(LIST, form).text


def do(desk: Client, act: str, *tasks: VideoTask, seen: str = "") -> str:
    """Answer that page, as if it had shown `seen` (the state the test holds, unless given); what is said afterwards."""
    form = {"action": act, "_selected_action": [str(task.pk) for task in tasks], "confirmed": "yes"}
    form |= {f"seen_{task.pk}": seen or task.status for task in tasks}
    return desk.post(LIST, form, follow=True).text


def titles(text: str) -> int:
    """How many videos a list shows."""
    return len(re.findall(r'class="field-state', text))


def test_the_list_shows_state_person_price_and_cost(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.run()
    text = desk.get(LIST).text
    assert titles(text) == 1
    for shown in (task.prompt[:40], alice.email, ">Ready<", "Fast · 720p", "60"):
        assert shown in text


def test_the_list_asks_the_database_equally_often_however_long_it_is(desk: Client, world: World, alice: User) -> None:
    world.order(alice)
    desk.get(LIST)
    with CaptureQueriesContext(connection) as few:
        desk.get(LIST)
    for _ in range(15):
        world.order(alice)
    with CaptureQueriesContext(connection) as many:
        assert titles(desk.get(LIST).text) == 16
    assert len(many) <= len(few)


@pytest.mark.parametrize("term", ["lighthouse", "alice@", "{pk}", "{number}", "{provider}", "video:{pk}"])
def test_a_video_is_found_by_its_words_its_person_and_every_number_it_has(
    desk: Client, world: World, alice: User, bob: User, term: str
) -> None:
    task = world.order(alice)
    world.order(bob, "A street at night")
    world.send()
    provider = world.now(task).provider_task_id
    term = term.format(pk=task.pk, number=str(task.pk)[:8].upper(), provider=provider)
    text = desk.get(LIST, {"q": term}).text
    assert titles(text) == 1
    assert str(task.pk) in text


def test_what_needs_a_person_is_one_click_away(desk: Client, world: World, alice: User) -> None:
    unconfirmed, delayed, _quiet = unconfirmed_video(world, alice), world.order(alice), world.order(alice)
    lifecycle.mark_delayed(task_id=delayed.pk)
    for code, task in (("delayed", delayed), ("unconfirmed", unconfirmed)):
        text = desk.get(LIST, {"attention": code}).text
        assert titles(text) == 1
        assert str(task.pk) in text
    for query, count in (
        ({"status__exact": "queued"}, 2),
        ({"model": "veo3_lite"}, 0),
        ({"resolution": "720p"}, 3),
        ({"attention": "odd"}, 0),
    ):
        assert titles(desk.get(LIST, query).text) == count


def test_the_page_of_a_ready_video_tells_everything(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.run()
    file = VideoFile.objects.get(task=task)
    text = page(desk, task)
    provider_task_id = world.now(task).provider_task_id
    assert provider_task_id
    for shown in (
        task.prompt,
        provider_task_id,
        str(task.pk),
        file.sha256,
        file.name,
        f"/videos/{task.pk}/file?index=0",
        "Accepted by the provider",
        "Saved and checked",
        "-60 credits",
        "Price list",
    ):
        assert shown in text
    assert "signature" not in text.lower()
    film = desk.get(f"/videos/{task.pk}/file", headers={"range": "bytes=0-99"})
    assert film.status_code == 206
    assert len(film.getvalue()) == 100


def test_a_stranger_s_callback_is_shown_as_text_and_cut(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    body = "<script>alert(1)</script>" + "x" * 60_000
    receipt = CallbackReceipt.objects.create(task=task, body=body, body_sha256="0" * 64, verdict="malformed")
    for text in (page(desk, task), desk.get(f"/admin/videos/callbackreceipt/{receipt.pk}/change/").text):
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text
    assert len(page(desk, task)) < 60_000
    assert "Malformed" in desk.get("/admin/videos/callbackreceipt/", {"verdict__exact": "malformed"}).text


def test_nothing_is_added_edited_or_deleted_by_hand(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    assert desk.get(f"{LIST}add/").status_code == 403
    assert desk.get(f"{LIST}{task.pk}/delete/").status_code == 403
    desk.post(f"{LIST}{task.pk}/change/", {"status": "ready", "prompt": "other"})
    do(desk, "delete_selected", task)
    assert world.now(task).status == "queued"
    assert world.now(task).prompt == task.prompt


def test_every_act_asks_first_and_says_what_happens_to_the_money(desk: Client, world: World, alice: User) -> None:
    unconfirmed, queued = unconfirmed_video(world, alice), world.order(alice)
    text = ask(desk, "cancel_with_refund", queued, unconfirmed)
    assert "60 credits will be refunded to alice@example.com. Nothing was sent" in text
    assert "may have charged 60 provider credits" in text
    assert "This costs nothing by itself" in ask(desk, "check_now", queued)
    assert "Not possible in its current state" in ask(desk, "mark_lost", queued)
    assert "Not possible in its current state" in ask(desk, "retry_download", queued)
    assert world.now(queued).status == "queued"
    assert world.money(queued) == [("charge", -60)]


def test_a_waiting_video_is_cancelled_and_refunded_once(desk: Client, world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    assert "60 credits refunded to alice@example.com" in do(desk, "cancel_with_refund", task)
    world.assert_refunded(task)
    assert world.spent(task) == ("settled", "not_spent")
    event = TaskEvent.objects.get(task=task, kind="cancelled")
    assert event.actor == olga
    assert LogEntry.objects.get(object_id=str(task.pk)).change_message == "cancel_with_refund"
    assert "nothing was changed" in do(desk, "cancel_with_refund", task)
    world.assert_refunded(task)


def test_a_running_video_is_given_up_and_a_late_film_is_delivered_free(
    desk: Client, world: World, alice: User, olga: User
) -> None:
    task = world.order(alice)
    world.send()
    do(desk, "cancel_with_refund", world.now(task))
    world.assert_refunded(task)
    assert world.now(task).failure_code == "operator"
    assert world.spent(task) == ("settled", "possible")
    assert [alert.reference for alert in world.alerts(Alert.Kind.POSSIBLE_SPEND)] == [task.reference]
    assert TaskEvent.objects.get(task=task, kind="failed").actor == olga
    world.later(hours=2)
    world.run()
    assert world.now(task).late_at is not None
    world.assert_refunded(task)
    assert world.submissions() == 1
    assert "Arrived late" in page(desk, task)


def test_a_video_that_cannot_be_saved_is_cancelled_with_its_cost_known(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.later(minutes=3)
    world.ask()
    assert world.now(task).status == "downloading"
    assert "charged 60 provider credits" in ask(desk, "cancel_with_refund", world.now(task))
    do(desk, "cancel_with_refund", world.now(task))
    world.assert_refunded(task)
    assert world.spent(task) == ("settled", "price_list")


def test_an_unconfirmed_video_is_called_lost(desk: Client, world: World, alice: User, olga: User) -> None:
    task = unconfirmed_video(world, alice)
    assert "Marked as lost" in do(desk, "mark_lost", world.now(task))
    world.assert_refunded(task)
    assert world.now(task).failure_code == "unconfirmed"
    assert TaskEvent.objects.get(task=task, kind="failed").actor == olga


def test_looking_now_makes_it_due_and_is_noted(desk: Client, world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    before = world.now(task).due_at
    world.sandbox.finish()
    assert world.ask() == 0
    assert "being checked now" in do(desk, "check_now", world.now(task))
    assert world.now(task).due_at < before
    assert world.ask() == 1
    assert world.now(task).status == "downloading"
    assert TaskEvent.objects.get(task=task, kind="note").actor == olga
    world.run()
    world.assert_charged(task)
    assert "Nothing can be done in its current state" in do(desk, "check_now", world.now(task))


def test_a_lost_file_is_fetched_again(desk: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.later(minutes=3)
    world.ask()
    VideoFile.objects.filter(task=task).update(due_at=world.clock.now() + timedelta(days=3))
    assert world.save() == 0
    assert "1 file is being downloaded" in do(desk, "retry_download", world.now(task))
    world.run()
    world.assert_charged(task)
    assert "Nothing can be done in its current state" in do(desk, "retry_download", world.now(task))


def test_who_may_look_may_not_act(world: World, alice: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    task = world.order(alice)
    reader = make_person("rita@example.com", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    client = Client()
    client.force_login(reader)
    text = page(client, task)
    assert "Cancel with refund" not in text
    do(client, "cancel_with_refund", task)
    assert world.now(task).status == "queued"
    nobody = make_person("nora@example.com", is_staff=True)
    client.force_login(nobody)
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{task.pk}/change/").status_code == 403
    assert client.get(f"{LIST}no-such/change/").status_code == 404


def unconfirmed_video(world: World, user: User) -> VideoTask:
    """A video whose request was sent and whose answer was lost; whatever else waits is sent too."""
    task = world.order(user)
    world.sandbox.set_faults("drop-answer")
    world.send()
    world.sandbox.set_faults()
    assert world.now(task).status == "unconfirmed"
    return world.now(task)


def test_f80_the_operators_pages_do_not_exist_for_others(
    client: Client, world: World, alice: User, settings: Settings
) -> None:
    task = world.order(alice)
    receipt = CallbackReceipt.objects.create(task=task, body="{}", body_sha256="0" * 64)
    paths = [
        "/admin/",
        LIST,
        f"{LIST}{task.pk}/change/",
        f"{LIST}{task.pk}/history/",
        "/admin/videos/callbackreceipt/",
        f"/admin/videos/callbackreceipt/{receipt.pk}/change/",
    ]
    weak = make_person("weak@example.com", is_staff=True, is_superuser=True)
    settings.STAFF_MFA_REQUIRED = True
    for person in (None, alice, weak):
        if person is not None:
            client.force_login(person)
        for path in paths:
            answer = client.get(path)
            assert answer.status_code in (302, 403), path
            assert str(task.prompt) not in answer.text
        do(client, "cancel_with_refund", task)
        assert world.now(task).status == "queued"
