"""Private media: who may read which file."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.credits import ledger
from billing.models import Alert
from tests.people import make_person
from tests.videos.media_files import make_image
from tests.videos.storage.ready_videos import read_body
from videos.actions import owner as owner_actions
from videos.models import SourceImage, VideoFile, VideoTask
from videos.storage import media_store, source_images

pytestmark = pytest.mark.usefixtures("own_media")


@pytest.fixture
def routes(video: VideoTask, alice: User) -> list[str]:
    """Every URL that serves Alice's files."""
    name = media_store.new_name("images", ".jpg")
    media_store.store_bytes(b"jpeg", name, mime_type="image/jpeg")
    image = SourceImage.objects.create(
        user=alice, name=name, mime_type="image/jpeg", width=1, height=1, size_bytes=4, sha256="0" * 64
    )
    video_url = reverse("videos:file", args=[video.pk])
    return [
        video_url,
        f"{video_url}?download=1",
        f"{video_url}?index=0",
        reverse("videos:poster", args=[video.pk]),
        reverse("videos:image", args=[image.pk]),
    ]


def test_f80_the_owner_can_read_every_file(client: Client, alice: User, routes: list[str]) -> None:
    client.force_login(alice)
    for url in routes:
        response = client.get(url)
        assert response.status_code == 200, url
        read_body(response)


def test_f80_another_user_finds_no_file(client: Client, bob: User, routes: list[str]) -> None:
    client.force_login(bob)
    unknown = client.get(reverse("videos:file", args=["00000000-0000-4000-8000-000000000000"]))
    for url in routes:
        for method in (client.get, client.head):
            response = method(url, headers={"Range": "bytes=0-4"})
            assert response.status_code == unknown.status_code == 404, url
            assert "ETag" not in response


def test_f80_an_anonymous_visitor_is_asked_to_sign_in(client: Client, routes: list[str]) -> None:
    for url in routes:
        response = client.get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith(reverse("account_login"))


def test_f80_a_disabled_owner_is_refused_from_the_next_request_on(
    client: Client, alice: User, routes: list[str]
) -> None:
    client.force_login(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    for url in routes:
        assert client.get(url).status_code == 302, url


def test_f80_an_operator_sees_media_only_with_the_permission(client: Client, routes: list[str]) -> None:
    staff = make_person("staff@example.com", is_staff=True)
    client.force_login(staff)
    for url in routes:
        assert client.get(url).status_code == 404, url
    staff.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    for url in routes:
        response = client.get(url)
        assert response.status_code == 200, url
        read_body(response)


def test_f80_the_permission_alone_is_not_enough_for_non_staff(client: Client, bob: User, routes: list[str]) -> None:
    bob.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    client.force_login(bob)
    for url in routes:
        assert client.get(url).status_code == 404, url


@pytest.mark.parametrize("index", ["1", "-1", "x", "9999", "0 OR 1=1", ""])
def test_an_unknown_result_number_is_not_found(get: Callable[..., Any], index: str) -> None:
    assert get(query=f"?index={index}").status_code == 404


@pytest.mark.parametrize("state", [VideoFile.State.PENDING, VideoFile.State.LOST])
def test_a_video_that_is_not_stored_is_not_found(get: Callable[..., Any], state: str) -> None:
    VideoFile.objects.update(state=state)
    assert get().status_code == 404


def test_a_deleted_video_is_not_found(
    get: Callable[..., Any], video: VideoTask, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    name = VideoFile.objects.get().name
    path = media_store.local_path(name)
    with django_capture_on_commit_callbacks(execute=True):
        owner_actions.delete(task_id=video.pk, actor=alice)
    assert path is not None
    assert not path.exists()
    assert get().status_code == 410
    assert ledger.balance_of(alice) == 100 - video.user_credits


def test_a_video_missing_on_disk_is_not_found_and_raises_an_alert(get: Callable[..., Any]) -> None:
    path = media_store.local_path(VideoFile.objects.get().name)
    assert path is not None
    path.unlink()
    assert get().status_code == 404
    assert Alert.objects.get(kind="storage").cause == "missing"


def test_an_image_is_served_with_its_type(client: Client, alice: User, image_upload: Callable[..., Any]) -> None:
    stored = source_images.store(user=alice, upload=image_upload(make_image("PNG")))
    client.force_login(alice)
    response = client.get(reverse("videos:image", args=[stored.pk]))
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert len(read_body(response)) == stored.size_bytes


def test_retention_deletes_videos_older_than_the_limit(
    video: VideoTask, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    assert owner_actions.delete_expired(clock.now() + timedelta(days=1000)) == 0
    settings.VIDEO_RETENTION_DAYS = 30
    assert owner_actions.delete_expired(clock.now() + timedelta(days=29)) == 0
    with django_capture_on_commit_callbacks(execute=True):
        assert owner_actions.delete_expired(clock.now() + timedelta(days=31)) == 1
    assert VideoFile.objects.get().state == VideoFile.State.DELETED
    assert owner_actions.delete_expired(clock.now() + timedelta(days=31)) == 0
