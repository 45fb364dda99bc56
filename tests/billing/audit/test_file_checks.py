"""I7, I8, I15: checks of stored files."""

from datetime import UTC, datetime, timedelta
from os import utime
from pathlib import Path

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.models import Alert
from tests.billing import history
from tests.billing.audit.breakage import age, find_invariants, find_references, media
from videos.models import SourceImage, VideoFile, VideoTask
from videos.storage import media_store

__all__ = ["media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_i7_a_missing_shorter_or_different_video_file(alice: User, media: Path) -> None:
    task = history.make_ready(alice)
    path = media / VideoFile.objects.get().name
    path.write_bytes(b"b film")
    assert find_references() == set(), "the size is the same, and only deep runs read the content"
    assert find_references(deep=True) == {("I7", task.reference)}
    path.write_bytes(b"a fil")
    assert find_references() == {("I7", task.reference)}
    path.unlink()
    assert find_references() == {("I7", task.reference)}


def test_i7_a_missing_poster(alice: User, media: Path) -> None:
    task = history.make_ready(alice)
    (media / VideoFile.objects.get().poster_name).unlink()
    assert find_references() == {("I7", task.reference)}


def test_i7_a_ready_video_without_a_stored_file(alice: User) -> None:
    task = history.make_ready(alice)
    media_store.delete(VideoFile.objects.get().name)
    VideoFile.objects.all().delete()
    assert find_references() == {("I7", task.reference)}


def test_i7_a_missing_or_different_image(alice: User, media: Path) -> None:
    media_store.store_bytes(b"image", "images/one.webp", mime_type="image/webp")
    digest = media_store.sha256_of(media / "images/one.webp")
    image = SourceImage.objects.create(
        user=alice, name="images/one.webp", mime_type="image/webp", width=1, height=1, size_bytes=5, sha256=digest
    )
    assert find_references(deep=True) == set()
    (media / image.name).write_bytes(b"imago")
    assert find_references(deep=True) == {("I7", f"image:{image.pk}")}
    (media / image.name).unlink()
    assert find_references() == {("I7", f"image:{image.pk}")}


def test_i7_a_file_deleted_during_the_check_is_no_problem(
    alice: User, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.make_ready(alice)

    def delete_video(name: str) -> bool:
        VideoFile.objects.update(state=VideoFile.State.DELETED)
        VideoTask.objects.update(deleted_at=clock.now())
        return False

    monkeypatch.setattr(media_store, "exists", delete_video)
    assert find_references() == set()


def test_i7_a_storage_that_cannot_be_read(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    history.make_ready(alice)

    def raise_storage_error(name: str) -> bool:
        raise media_store.StorageError("EIO")

    monkeypatch.setattr(media_store, "exists", raise_storage_error)
    assert find_references() == {("I7", "storage")}


def test_i8_a_video_not_stored_for_an_hour_without_an_alert(alice: User) -> None:
    task = history.make_downloading(alice)
    age(task, provider_done_at=timedelta(minutes=59), submitted_at=timedelta(minutes=62))
    assert find_references() == set()
    age(task, provider_done_at=timedelta(minutes=61))
    assert find_references() == {("I8", task.reference)}
    Alert.objects.create(kind="undownloaded", severity="warning", reference=task.reference, window_key="reported")
    assert find_invariants() == set()


def test_i15_a_leftover_partial_download_or_object(media: Path) -> None:
    at = datetime.now(UTC)

    def create_file(path: Path, age: timedelta) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
        stamp = (at - age).timestamp()
        utime(path, (stamp, stamp))

    create_file(media / ".incoming/fresh.part", timedelta(hours=24))
    create_file(media / "videos/2026/01/fresh.mp4", timedelta(hours=24))
    assert find_references() == set()
    create_file(media / ".incoming/old.part", timedelta(hours=26))
    create_file(media / "videos/2026/01/old.mp4", timedelta(hours=26))
    assert find_references() == {("I15", "old.part"), ("I15", "videos/2026/01/old.mp4")}


def test_i15_a_file_that_two_rows_share(alice: User) -> None:
    first, second = history.make_ready(alice), history.make_ready(alice)
    poster = VideoFile.objects.get(task=first).poster_name
    VideoFile.objects.filter(task=second).update(poster_name=poster)
    assert find_references() == {("I15", poster)}
