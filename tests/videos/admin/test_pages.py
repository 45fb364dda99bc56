"""The operators' pages about videos: list, search, filters and the page of one video."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from tests.people import make_person
from tests.videos.admin.operator_pages import LIST, perform, unconfirmed_video, video_page
from tests.videos.world import World
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, VideoFile


def count_rows(text: str) -> int:
    """How many videos a list shows."""
    return len(re.findall(r'class="field-state_chip', text))


def test_the_list_shows_state_user_price_and_cost(staff: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.run()
    text = staff.get(LIST).text
    assert count_rows(text) == 1
    for expected in (task.prompt[:40], alice.email, ">Ready<", "Fast · 720p", "60"):
        assert expected in text


def test_the_number_of_queries_does_not_depend_on_the_list_length(staff: Client, world: World, alice: User) -> None:
    world.order(alice)
    staff.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        staff.get(LIST)
    for _ in range(15):
        world.order(alice)
    with CaptureQueriesContext(connection) as more_queries:
        assert count_rows(staff.get(LIST).text) == 16
    assert len(more_queries) <= len(queries)


@pytest.mark.parametrize("term", ["lighthouse", "alice@", "{pk}", "{number}", "{provider}", "video:{pk}"])
def test_a_video_is_found_by_prompt_user_and_every_id(
    staff: Client, world: World, alice: User, bob: User, term: str
) -> None:
    task = world.order(alice)
    world.order(bob, "A street at night")
    world.send()
    provider = world.reload(task).provider_task_id
    term = term.format(pk=task.pk, number=str(task.pk)[:8].upper(), provider=provider)
    text = staff.get(LIST, {"q": term}).text
    assert count_rows(text) == 1
    assert str(task.pk) in text


def test_a_filter_finds_videos_that_need_attention(staff: Client, world: World, alice: User) -> None:
    unconfirmed, delayed, _quiet = unconfirmed_video(world, alice), world.order(alice), world.order(alice)
    lifecycle.mark_delayed(task_id=delayed.pk)
    for code, task in (("delayed", delayed), ("unconfirmed", unconfirmed)):
        text = staff.get(LIST, {"attention": code}).text
        assert count_rows(text) == 1
        assert str(task.pk) in text
    for query, count in (
        ({"status__exact": "queued"}, 2),
        ({"model": "veo3_lite"}, 0),
        ({"resolution": "720p"}, 3),
        ({"attention": "odd"}, 0),
    ):
        assert count_rows(staff.get(LIST, query).text) == count


def test_the_page_of_a_ready_video_shows_all_details(staff: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    world.run()
    file = VideoFile.objects.get(task=task)
    text = video_page(staff, task)
    provider_task_id = world.reload(task).provider_task_id
    assert provider_task_id
    for expected in (
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
        assert expected in text
    assert "signature" not in text.lower()
    file_response = staff.get(f"/videos/{task.pk}/file", headers={"range": "bytes=0-99"})
    assert file_response.status_code == 206
    assert len(file_response.getvalue()) == 100


def test_an_untrusted_callback_body_is_escaped_and_shortened(staff: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    body = "<script>alert(1)</script>" + "x" * 60_000
    receipt = CallbackReceipt.objects.create(task=task, body=body, body_sha256="0" * 64, verdict="malformed")
    for text in (video_page(staff, task), staff.get(f"/admin/videos/callbackreceipt/{receipt.pk}/change/").text):
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text
    assert len(video_page(staff, task)) < 60_000
    assert "Malformed" in staff.get("/admin/videos/callbackreceipt/", {"verdict__exact": "malformed"}).text


def test_videos_cannot_be_added_edited_or_deleted(staff: Client, world: World, alice: User) -> None:
    task = world.order(alice)
    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.get(f"{LIST}{task.pk}/delete/").status_code == 403
    staff.post(f"{LIST}{task.pk}/change/", {"status": "ready", "prompt": "other"})
    perform(staff, "delete_selected", task)
    assert world.reload(task).status == "queued"
    assert world.reload(task).prompt == task.prompt


def test_f80_the_operators_pages_are_a_404_for_users(
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
    without_mfa = make_person("weak@example.com", is_staff=True, is_superuser=True)
    settings.STAFF_MFA_REQUIRED = True
    for user in (None, alice, without_mfa):
        if user is not None:
            client.force_login(user)
        for path in paths:
            response = client.get(path)
            assert response.status_code in (302, 403), path
            assert str(task.prompt) not in response.text
        perform(client, "cancel_with_refund", task)
        assert world.reload(task).status == "queued"
