"""A video's own page: its state, price and receipt, and the actions cancel and delete."""

from contextlib import closing

import pytest
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from tests.videos import video_states
from tests.videos.views.requests import HTMX_HEADERS
from videos.models import TaskEvent, VideoTask
from videos.presentation import timeline
from videos.presentation.tiles import STATES
from videos.providers.base import RefusalReason

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def test_a_ready_video_plays_downloads_and_shows_its_receipt(signed_in: Client, alice: User) -> None:
    task = video_states.make_ready(alice, "Kelp forest", seed=12345)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert f'src="/videos/{task.pk}/file"' in page
    assert f'poster="/videos/{task.pk}/poster"' in page
    assert 'preload="metadata"' in page
    assert "?download=1" in page
    for text in (
        "Ordered; 60 credits charged.",
        "callback reported that the video is finished.",
        "Stored safely",
        "12345",
    ):
        assert text in page
    assert str(task.pk)[:8].upper() in page
    assert "hx-trigger" not in page
    with closing(signed_in.get(f"/videos/{task.pk}/poster")) as poster:
        assert poster["Content-Type"] == "image/webp"


def test_the_page_of_an_unfinished_video_polls_until_it_is_finished(signed_in: Client, alice: User) -> None:
    task = video_states.make_generating(alice)
    live = signed_in.get(f"/videos/{task.pk}/", headers=HTMX_HEADERS)
    assert live.status_code == 200
    assert 'hx-trigger="every 2s"' in live.text
    assert "<html" not in live.text
    video_states.finish(task)
    last = signed_in.get(f"/videos/{task.pk}/", headers=HTMX_HEADERS)
    assert last.status_code == 286
    assert "<video" in last.text
    assert "Run again" in last.text
    assert "hx-trigger" not in last.text


def test_a_refused_video_shows_the_reason_the_next_step_and_the_refund(signed_in: Client, alice: User) -> None:
    task = video_states.make_refused(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "Refused by the provider" in page
    assert "Describe the person instead of naming them" in page
    assert "60 credits were refunded" in page
    assert "the vendor&#x27;s own words" in page
    assert f"/?from={task.pk}" in page
    assert ledger.balance_of(alice) == 60


def test_an_unconfirmed_video_shows_its_state_and_when_it_is_refunded(signed_in: Client, alice: User) -> None:
    task = video_states.make_unconfirmed(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "Unconfirmed" in page
    assert "the answer was lost" in page
    assert "the credits are refunded at" in page
    assert "Each order is sent only once" in page
    assert "Failed" not in page


def test_a_queued_video_shows_its_position_and_is_cancelled_with_a_refund(
    signed_in: Client, alice: User, bob: User
) -> None:
    video_states.make_queued(bob)
    video_states.make_queued(alice)
    task = video_states.make_queued(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "2 videos ahead of it, 1 of them yours" in page
    assert "Run again" not in page, "it has not run yet"
    response = signed_in.post(f"/videos/{task.pk}/cancel/", {"to": "studio"}, follow=True)
    assert "Cancelled. 60 credits refunded." in response.text
    assert VideoTask.objects.get(pk=task.pk).status == "cancelled"
    assert [entry.amount for entry in ledger.statement(alice).filter(reference=task.reference)] == [60, -60]
    assert ledger.balance_of(alice) == 60


def test_cancelling_too_late_changes_nothing_and_shows_a_message(signed_in: Client, alice: User) -> None:
    task = video_states.make_generating(alice)
    response = signed_in.post(f"/videos/{task.pk}/cancel/", follow=True)
    assert "Too late to cancel" in response.text
    assert VideoTask.objects.get(pk=task.pk).status == "generating"
    assert ledger.balance_of(alice) == 0


def test_a_late_video_is_delivered_free_with_a_notice(signed_in: Client, alice: User) -> None:
    task = video_states.make_late(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "It arrived late" in page
    assert "<video" in page
    assert ledger.balance_of(alice) == 60


def test_deleting_asks_first_and_keeps_the_statement(signed_in: Client, alice: User) -> None:
    task = video_states.make_ready(alice)
    assert "Delete this video?" in signed_in.get(f"/videos/{task.pk}/delete/").text
    response = signed_in.post(f"/videos/{task.pk}/delete/", follow=True)
    assert response.redirect_chain == [("/videos/", 302)]
    assert signed_in.get(f"/videos/{task.pk}/").status_code == 404
    assert str(task.pk) not in signed_in.get("/videos/").text
    statement = signed_in.get("/credits/").text
    assert "Deleted video" in statement
    assert ledger.balance_of(alice) == 0
    assert ledger.statement(alice).filter(reference=task.reference).count() == 1


def test_an_unfinished_video_is_not_deleted(signed_in: Client, alice: User) -> None:
    task = video_states.make_generating(alice)
    response = signed_in.post(f"/videos/{task.pk}/delete/", follow=True)
    assert "still in progress" in response.text
    assert VideoTask.objects.get(pk=task.pk).deleted_at is None


def test_prompts_are_escaped(signed_in: Client, alice: User) -> None:
    task = video_states.make_queued(alice, "<script>alert(1)</script>\"'><img src=x>")
    for path in ("/", f"/?from={task.pk}", "/videos/", f"/videos/{task.pk}/", "/credits/"):
        page = signed_in.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x>" not in page


def test_every_state_reason_and_event_has_a_text() -> None:
    assert set(STATES) == set(VideoTask.Status.values)
    assert set(RefusalReason) <= set(timeline.FAILURES)
    assert set(TaskEvent.Kind.values) - set(timeline.DESCRIPTIONS) == {TaskEvent.Kind.NOTE}
