"""Users see only their own videos, visitors none, and reading a page changes nothing."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.videos import video_states
from tests.videos.views.requests import HTMX_HEADERS
from videos.models import VideoTask

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]
MISSING_VIDEO = "/videos/00000000-0000-4000-8000-000000000000/"


def test_f80_every_page_of_another_users_video_is_a_404(signed_in: Client, bob: User) -> None:
    task = video_states.make_ready(bob)
    waiting = video_states.make_queued(bob)
    for path in ("", "delete/", "file", "poster", "file?download=1"):
        assert signed_in.get(f"/videos/{task.pk}/{path}").status_code == 404, path
        assert signed_in.get(f"/videos/{task.pk}/{path}", headers=HTMX_HEADERS).status_code == 404, path
    assert signed_in.post(f"/videos/{task.pk}/delete/").status_code == 404
    assert signed_in.post(f"/videos/{waiting.pk}/cancel/").status_code == 404
    assert signed_in.get(f"/?from={task.pk}").status_code == 404
    assert str(task.pk) not in signed_in.get("/videos/").text
    assert str(task.pk) not in signed_in.get("/videos/", {"live": str(task.pk)}, headers=HTMX_HEADERS).text
    assert VideoTask.objects.get(pk=waiting.pk).status == "queued"
    assert VideoTask.objects.get(pk=task.pk).deleted_at is None


@pytest.mark.parametrize("path", ["/videos/", MISSING_VIDEO, "/credits/", "/quote/", "/images/?slot=first"])
def test_visitors_are_asked_to_sign_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/")


def test_reading_pages_changes_nothing(signed_in: Client, alice: User) -> None:
    done, waiting = video_states.make_ready(alice), video_states.make_queued(alice)
    paths = ["/", f"/?from={done.pk}", "/?example=dunes", "/quote/", "/images/?slot=first", "/videos/", "/credits/"]
    paths += [f"/videos/{task.pk}/" for task in (done, waiting)] + [f"/videos/{done.pk}/delete/"]
    for path in paths:
        for headers in (None, HTMX_HEADERS):
            with CaptureQueriesContext(connection) as queries:
                signed_in.get(path, headers=headers)
            written = [query["sql"] for query in queries if _writes(query["sql"])]
            assert written == [], path
    assert signed_in.get(f"/videos/{waiting.pk}/cancel/").status_code == 405
    assert VideoTask.objects.get(pk=waiting.pk).status == "queued"


def _writes(sql: str) -> bool:
    """Whether a statement changes data, except in the cache and the list of sessions."""
    is_cache_or_session = "cache_entries" in sql or "usersessions" in sql
    return bool(re.match(r"(INSERT|UPDATE|DELETE)", sql)) and not is_cache_or_session
