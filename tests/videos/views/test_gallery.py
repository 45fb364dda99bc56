"""The gallery: tiles for every state, filters, search, pages and live updates."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.videos import video_states
from tests.videos.views.every_state import make_every_state
from tests.videos.views.requests import HTMX_HEADERS
from videos.models import VideoTask

# Measured with videos in every state. Each queued video still reads its own position and wait reason; this is to be lowered.
MAX_QUERIES = 91

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def test_an_empty_gallery_explains_itself_and_links_to_the_studio(signed_in: Client) -> None:
    page = signed_in.get("/videos/").text
    assert "Your videos will appear here" in page
    assert 'href="/"' in page


def test_every_state_has_its_tile(signed_in: Client, alice: User) -> None:
    tasks = [
        video_states.make_queued(alice),
        video_states.make_submitting(alice),
        video_states.make_unconfirmed(alice),
        video_states.make_generating(alice),
        video_states.make_ready(alice),
        video_states.make_refused(alice),
        video_states.make_cancelled(alice),
        video_states.make_late(alice),
    ]
    page = signed_in.get("/videos/").text
    for task in tasks:
        assert f'id="video-{task.pk}"' in page
    for text in ("Waiting", "Sending", "Unconfirmed", "Generating", "Refused by the provider", "Cancelled"):
        assert text in page
    assert page.count("Edit and retry") == 1
    assert 'hx-trigger="every 2s"' in page


@pytest.mark.parametrize(
    ("state", "expected"), [("live", {"live"}), ("ready", {"ready", "late"}), ("failed", {"failed", "cancelled"})]
)
def test_the_gallery_is_filtered_by_state(signed_in: Client, alice: User, state: str, expected: set[str]) -> None:
    tasks = {
        "live": video_states.make_generating(alice),
        "ready": video_states.make_ready(alice),
        "late": video_states.make_late(alice),
        "failed": video_states.make_refused(alice),
        "cancelled": video_states.make_cancelled(alice),
    }
    page = signed_in.get("/videos/", {"state": state}).text
    assert {name for name, task in tasks.items() if f'id="video-{task.pk}"' in page} == expected


def test_the_gallery_is_searched_by_the_words_of_the_prompt(signed_in: Client, alice: User) -> None:
    fox, owl = (
        video_states.make_queued(alice, "A fox in the snow"),
        video_states.make_queued(alice, "An owl in the SNOW at night"),
    )
    assert _list_shown_ids(signed_in, q="snow") == [owl.pk, fox.pk]
    assert _list_shown_ids(signed_in, q="night snow") == [owl.pk]
    no_match = signed_in.get("/videos/", {"q": "whale"}).text
    assert "Nothing found" in no_match
    assert 'value="whale"' in no_match
    assert _list_shown_ids(signed_in, q="100%_'\"<") == []


def test_older_pages_have_no_gaps_or_repeats(signed_in: Client, alice: User, settings: Any) -> None:
    settings.MAX_ACTIVE_PER_USER = 100
    tasks = [video_states.make_queued(alice, f"video {number}").pk for number in range(30)]
    VideoTask.objects.filter(pk__in=tasks[5:12]).update(created_at=VideoTask.objects.get(pk=tasks[5]).created_at)
    first = signed_in.get("/videos/")
    second = signed_in.get("/videos/", {"before": first.context["older_cursor"]})
    ids = [video.id for page in (first, second) for video in page.context["videos"]]
    assert len(ids) == 30
    assert set(ids) == set(tasks)
    assert second.context["older_cursor"] == ""
    assert "Newest" in second.text


@pytest.mark.parametrize("cursor", ["x", "2026-01-01_x", "2026-01-01T00:00:00_" + "0" * 32, "_", "9" * 400])
def test_an_invalid_cursor_shows_the_first_page(signed_in: Client, alice: User, cursor: str) -> None:
    task = video_states.make_queued(alice)
    assert _list_shown_ids(signed_in, before=cursor) == [task.pk]


def test_the_live_response_holds_only_unfinished_videos_and_then_stops(signed_in: Client, alice: User) -> None:
    done, task = video_states.make_ready(alice), video_states.make_generating(alice)
    live = signed_in.get("/videos/", {"live": [str(task.pk)]}, headers=HTMX_HEADERS)
    assert live.status_code == 200
    assert f'id="video-{task.pk}" hx-swap-oob="true"' in live.text
    assert str(done.pk) not in live.text
    video_states.finish(task)
    last = signed_in.get("/videos/", {"live": [str(task.pk)]}, headers=HTMX_HEADERS)
    assert last.status_code == 286
    assert "hx-trigger" not in last.text
    assert f"/videos/{task.pk}/poster" in last.text


def test_a_longer_gallery_needs_no_more_queries(signed_in: Client, alice: User, settings: Any) -> None:
    settings.MAX_ACTIVE_PER_USER = 100
    make_every_state(alice)
    signed_in.get("/videos/")
    with CaptureQueriesContext(connection) as queries:
        signed_in.get("/videos/")
    assert len(queries) <= MAX_QUERIES, "\n".join(query["sql"] for query in queries)
    for _ in range(4):
        video_states.make_ready(alice)
    with CaptureQueriesContext(connection) as more_queries:
        signed_in.get("/videos/")
    assert len(more_queries) == len(queries)


def _list_shown_ids(client: Client, **query: str) -> list[object]:
    return [video.id for video in client.get("/videos/", query).context["videos"]]
