"""Private media over HTTP: who may have what, and in which parts."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse
from django.utils.http import http_date
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.credits import ledger
from billing.models import Alert
from tests.people import give_credits, make_person
from tests.s3 import S3
from tests.videos.films import film, picture
from videos.actions import owner as owner_actions
from videos.models import SourceImage, VideoFile, VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import video_probe
from videos.pipeline.video_probe import probe
from videos.storage import media_store, source_images
from videos.views import media

FILM = film(duration_s=4)


pytestmark = pytest.mark.usefixtures("own_media")


def ready_video(user: User, tmp_path: Path, *, content: bytes = FILM, prompt: str = "A kite, 夏天!") -> VideoTask:
    """A task that ended well, with its film in the storage, as a download leaves it."""
    give_credits(user, 100)
    task = orders.create(user=user, order=VideoOrder(prompt=prompt), idempotency_key=prompt)
    at = clock.now()
    VideoTask.objects.filter(pk=task.pk).update(status="ready", provider_task_id=task.pk.hex, finished_at=at)
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    facts = probe(path, ordered_s=4)
    name, poster_name = media_store.new_name("videos", ".mp4"), media_store.new_name("posters", ".webp")
    media_store.store_bytes(
        video_probe.draw_poster(path, duration_s=facts.duration_s), poster_name, mime_type="image/webp"
    )
    VideoFile.objects.create(
        task=task,
        index=0,
        source_url="https://example.com/v.mp4",
        state=VideoFile.State.STORED,
        name=name,
        poster_name=poster_name,
        sha256=media_store.sha256_of(path),
        size_bytes=len(content),
        stored_at=at,
    )
    media_store.store_file(path, name, mime_type="video/mp4")
    return VideoTask.objects.get(pk=task.pk)


@pytest.fixture
def video(alice: User, tmp_path: Path) -> VideoTask:
    return ready_video(alice, tmp_path)


@pytest.fixture
def get(client: Client, alice: User, video: VideoTask) -> Iterator[Callable[..., Any]]:
    """Alice asks for her film with some headers; what she does not read to its end is closed, as a server does."""
    client.force_login(alice)
    url = reverse("videos:file", args=[video.pk])
    answers: list[Any] = []

    def get(method: str = "get", query: str = "", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answers.append(getattr(client, method)(url + query, headers=named))
        return answers[-1]

    yield get
    for answer in answers:
        answer.close()


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_a_film_is_served_whole_to_its_owner(get: Callable[..., Any]) -> None:
    response = get()
    assert (response.status_code, body(response)) == (200, FILM)
    assert response["Content-Type"] == "video/mp4"
    assert response["Content-Length"] == str(len(FILM))
    assert response["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, len(FILM) - 1),
        ("bytes=-500", len(FILM) - 500, len(FILM) - 1),
        (f"bytes=-{len(FILM) * 2}", 0, len(FILM) - 1),
        (f"bytes=5-{len(FILM) * 2}", 5, len(FILM) - 1),
        ("Bytes= 10-19 ", 10, 19),
        (f"bytes={len(FILM) - 1}-", len(FILM) - 1, len(FILM) - 1),
    ],
)
def test_a_part_is_served_as_206(get: Callable[..., Any], asked: str, first: int, last: int) -> None:
    response = get(Range=asked)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(FILM)}"
    assert response["Content-Length"] == str(last - first + 1)
    assert body(response) == FILM[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    ["bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "items=0-5", "bytes=0-1,5-6", "bytes=+1-5", "bytes=٣-٤", "0-5"],
)
def test_a_range_that_is_malformed_or_several_is_answered_with_the_whole(get: Callable[..., Any], asked: str) -> None:
    response = get(Range=asked)
    assert (response.status_code, body(response)) == (200, FILM)
    assert "Content-Range" not in response


@pytest.mark.parametrize("asked", [f"bytes={len(FILM)}-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_range_past_the_end_is_answered_with_416_and_the_length(get: Callable[..., Any], asked: str) -> None:
    response = get(Range=asked)
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(FILM)}")
    assert response.content == b""


def test_if_range_goes_on_only_with_the_same_file(get: Callable[..., Any], video: VideoTask) -> None:
    whole = get()
    etag, modified = whole["ETag"], whole["Last-Modified"]
    body(whole)
    assert get(Range="bytes=0-4", If_Range=etag).status_code == 206
    assert get(Range="bytes=0-4", If_Range=modified).status_code == 206
    for other in ['"another"', f"W/{etag}", http_date(0), "nonsense", "Sat, 01 Jan 2050 00:00:00 GMT"]:
        assert get(Range="bytes=0-4", If_Range=other).status_code == 200


def test_what_the_browser_has_is_not_sent_again(get: Callable[..., Any]) -> None:
    whole = get()
    etag, modified = whole["ETag"], whole["Last-Modified"]
    for conditions in ({"If_None_Match": etag}, {"If_None_Match": f'"x", W/{etag}'}, {"If_Modified_Since": modified}):
        response = get(**conditions)
        assert (response.status_code, body(response)) == (304, b"")
        assert response["ETag"] == etag
    # A condition comes before the range.
    assert get(If_None_Match=etag, Range="bytes=0-4").status_code == 304
    assert get(If_None_Match='"x"', Range="bytes=0-4").status_code == 206
    assert get(If_Match='"x"').status_code == 412


def test_head_says_what_get_would_and_sends_nothing(get: Callable[..., Any]) -> None:
    response = get("head", Range="bytes=0-4")
    assert (response.status_code, body(response)) == (200, b"")
    assert response["Content-Length"] == str(len(FILM))
    assert response["Content-Type"] == "video/mp4"


def test_media_answers_to_get_and_head_alone(get: Callable[..., Any]) -> None:
    for method in ("post", "put", "delete", "patch"):
        assert get(method).status_code == 405


def test_f51_a_script_inside_a_film_is_never_run(client: Client, alice: User, tmp_path: Path) -> None:
    polyglot = FILM + b"<html><script>alert(document.domain)</script></html>"
    task = ready_video(alice, tmp_path, content=polyglot)
    client.force_login(alice)
    for name in ("file", "poster"):
        for headers in ({}, {"Range": "bytes=0-99"}, {"Range": "bytes=999999999-"}):
            response = client.get(reverse(f"videos:{name}", args=[task.pk]), headers=headers)
            assert response["Content-Type"] == ("video/mp4" if name == "file" else "image/webp")
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert response["Cross-Origin-Resource-Policy"] == "same-origin"
            body(response)


def test_media_are_cached_by_the_owners_browser_alone(client: Client, alice: User, video: VideoTask) -> None:
    client.force_login(alice)
    for name in ("file", "poster"):
        response = client.get(reverse(f"videos:{name}", args=[video.pk]))
        directives = {part.strip() for part in response["Cache-Control"].split(",")}
        assert "private" in directives
        assert not {"public", "no-store"} & directives
        assert "Cookie" in response["Vary"]
        body(response)


def test_a_download_has_a_name_made_from_the_prompt(get: Callable[..., Any]) -> None:
    assert get(query="?download=1")["Content-Disposition"] == (
        "attachment; filename=\"A-kite.mp4\"; filename*=UTF-8''A-kite-%E5%A4%8F%E5%A4%A9.mp4"
    )
    assert get()["Content-Disposition"].startswith("inline; filename=")


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("../../etc/passwd", "etc-passwd.mp4"),
        ('a"; filename="evil.exe', "a-filename-evil-exe.mp4"),
        ("line\r\nSet-Cookie: x=1", "line-Set-Cookie-x-1.mp4"),
        ("夏天", "video.mp4"),
        ("", "video.mp4"),
        ("-.-", "video.mp4"),
        ("Café crème", "Cafe-creme.mp4"),
        ("a" * 500, "a" * 60 + ".mp4"),
        ("\u202egpj.exe\x00", "gpj-exe.mp4"),
    ],
)
def test_no_title_can_break_out_of_a_file_name(title: str, plain: str) -> None:
    header = media.content_disposition(title, suffix=".mp4", attached=True)
    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert header.isascii()
    assert header.isprintable()


@pytest.fixture
def routes(video: VideoTask, alice: User) -> list[str]:
    """Every route that gives out Alice's bytes."""
    name = media_store.new_name("images", ".jpg")
    media_store.store_bytes(b"jpeg", name, mime_type="image/jpeg")
    image = SourceImage.objects.create(
        user=alice, name=name, mime_type="image/jpeg", width=1, height=1, size_bytes=4, sha256="0" * 64
    )
    film_url = reverse("videos:file", args=[video.pk])
    return [
        film_url,
        f"{film_url}?download=1",
        f"{film_url}?index=0",
        reverse("videos:poster", args=[video.pk]),
        reverse("videos:image", args=[image.pk]),
    ]


def test_f80_the_owner_has_every_file(client: Client, alice: User, routes: list[str]) -> None:
    client.force_login(alice)
    for url in routes:
        response = client.get(url)
        assert response.status_code == 200, url
        body(response)


def test_f80_to_another_person_no_file_exists(client: Client, bob: User, routes: list[str]) -> None:
    client.force_login(bob)
    unheard_of = client.get(reverse("videos:file", args=["00000000-0000-4000-8000-000000000000"]))
    for url in routes:
        for method in (client.get, client.head):
            response = method(url, headers={"Range": "bytes=0-4"})
            assert response.status_code == unheard_of.status_code == 404, url
            assert "ETag" not in response


def test_f80_a_stranger_is_asked_to_sign_in(client: Client, routes: list[str]) -> None:
    for url in routes:
        response = client.get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith(reverse("account_login"))


def test_f80_a_disabled_owner_has_nothing_from_the_next_request_on(
    client: Client, alice: User, routes: list[str]
) -> None:
    client.force_login(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    for url in routes:
        assert client.get(url).status_code == 302, url


def test_f80_an_operator_sees_media_only_with_the_permission(client: Client, routes: list[str]) -> None:
    clerk = make_person("clerk@example.com", is_staff=True)
    client.force_login(clerk)
    for url in routes:
        assert client.get(url).status_code == 404, url
    clerk.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    for url in routes:
        response = client.get(url)
        assert response.status_code == 200, url
        body(response)


def test_f80_a_permission_without_being_staff_opens_nothing(client: Client, bob: User, routes: list[str]) -> None:
    bob.user_permissions.add(Permission.objects.get(codename="view_videotask"))
    client.force_login(bob)
    for url in routes:
        assert client.get(url).status_code == 404, url


@pytest.mark.parametrize("index", ["1", "-1", "x", "9999", "0 OR 1=1", ""])
def test_a_result_that_is_not_there_is_not_found(get: Callable[..., Any], index: str) -> None:
    assert get(query=f"?index={index}").status_code == 404


@pytest.mark.parametrize("state", [VideoFile.State.PENDING, VideoFile.State.LOST])
def test_a_film_that_is_not_stored_is_not_found(get: Callable[..., Any], state: str) -> None:
    VideoFile.objects.update(state=state)
    assert get().status_code == 404


def test_a_deleted_film_is_gone(
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


def test_a_film_that_the_disk_lost_is_not_found_and_told_to_operators(get: Callable[..., Any]) -> None:
    path = media_store.local_path(VideoFile.objects.get().name)
    assert path is not None
    path.unlink()
    assert get().status_code == 404
    assert Alert.objects.get(kind="storage").cause == "missing"


def test_a_file_is_closed_when_the_visitor_leaves_in_the_middle(get: Callable[..., Any]) -> None:
    response = get()
    next(iter(response.streaming_content))
    response.close()  # an unclosed file would be a warning, and warnings are errors


def test_nginx_is_told_which_file_to_send_and_nothing_is_read(get: Callable[..., Any], settings: Settings) -> None:
    settings.X_ACCEL_PREFIX = "/protected/"
    response = get(Range="bytes=0-4")
    assert (response.status_code, response.content) == (200, b"")
    assert response["X-Accel-Redirect"] == f"/protected/{VideoFile.objects.get().name}"
    assert response["Content-Type"] == "video/mp4"
    assert response["Cache-Control"] == "private, max-age=3600"


def test_a_film_in_a_bucket_is_reached_by_a_link_that_soon_dies(
    client: Client, alice: User, bob: User, tmp_path: Path, s3_server: S3, settings: Settings
) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3_server.storage_options}
    }
    task = ready_video(alice, tmp_path)
    url = reverse("videos:file", args=[task.pk])
    client.force_login(bob)
    assert client.get(url).status_code == 404
    client.force_login(alice)
    response = client.get(f"{url}?download=1")
    assert response.status_code == 302
    assert response["Cache-Control"] == "private, no-store"
    link = response["Location"]
    assert f"{urlsplit(link).scheme}://{urlsplit(link).netloc}" == s3_server.url
    assert "X-Amz-Expires=600" in link
    with requests.get(link, headers={"Range": "bytes=10-19"}, timeout=10) as part:
        assert (part.status_code, part.content) == (206, FILM[10:20])
        assert part.headers["Content-Type"] == "video/mp4"
        assert part.headers["Content-Disposition"].startswith("attachment; filename=")
        assert part.headers["Cache-Control"] == "private, max-age=600"
    head = client.head(url)
    with requests.head(head["Location"], timeout=10) as answer:
        assert answer.headers["Content-Length"] == str(len(FILM))
    storages["default"].connection.meta.client.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [("", "https://films.s3.eu-central-1.amazonaws.com"), ("https://s3.lan:9000/", "https://s3.lan:9000")],
)
def test_pages_may_show_what_the_bucket_serves_and_links_lead_nowhere_else(endpoint: str, origin: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from veoapp import settings as s; print(s.CONTENT_SECURITY_POLICY['DIRECTIVES'])"],
        env=os.environ
        | {"AWS_STORAGE_BUCKET_NAME": "films", "AWS_S3_REGION_NAME": "eu-central-1", "AWS_S3_ENDPOINT_URL": endpoint},
        capture_output=True,
        text=True,
        check=True,
    )
    directives = ast.literal_eval(told.stdout)
    assert directives["media-src"] == ["'self'", origin]
    assert directives["img-src"] == ["'self'", "data:", origin]
    assert origin not in directives["script-src"]


def test_an_image_is_served_as_what_it_is(client: Client, alice: User, image_upload: Callable[..., Any]) -> None:
    kept = source_images.store(user=alice, upload=image_upload(picture("PNG")))
    client.force_login(alice)
    response = client.get(reverse("videos:image", args=[kept.pk]))
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert len(body(response)) == kept.size_bytes


def test_retention_deletes_what_is_older_than_is_kept(
    video: VideoTask, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    assert owner_actions.delete_expired(clock.now() + timedelta(days=1000)) == 0
    settings.VIDEO_RETENTION_DAYS = 30
    assert owner_actions.delete_expired(clock.now() + timedelta(days=29)) == 0
    with django_capture_on_commit_callbacks(execute=True):
        assert owner_actions.delete_expired(clock.now() + timedelta(days=31)) == 1
    assert VideoFile.objects.get().state == VideoFile.State.DELETED
    assert owner_actions.delete_expired(clock.now() + timedelta(days=31)) == 0
