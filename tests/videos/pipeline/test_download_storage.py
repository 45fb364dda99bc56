"""Downloads into a real S3 server, and several downloads in parallel."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import storages
from pytest_django import Settings

from accounts.models import User
from billing.models import Alert
from tests.people import make_person
from tests.s3 import S3
from tests.sandbox import SandboxProcess
from tests.videos.world import AdjustableClock, World
from videos.models import VideoFile, VideoTask
from videos.pipeline import concurrency, downloads
from videos.storage import cleanup as storage_cleanup
from videos.storage import media_store

State = VideoFile.State


@pytest.fixture
def bucket(s3_server: S3, settings: Settings) -> Iterator[S3]:
    """A bucket that holds the site's media."""
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3_server.storage_options}
    }
    yield s3_server
    # boto keeps connections open, which would warn in the next test.
    storages["default"].connection.meta.client.close()  # type: ignore[attr-defined]


def order_and_finish(world: World, user: User) -> VideoTask:
    task = world.order(user, duration_s=4)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=10)
    world.poll()
    return world.reload(task)


def objects(s3: S3) -> dict[str, Any]:
    """The headers of every object in the bucket, by name."""
    entries = s3.client.list_objects_v2(Bucket=s3.bucket).get("Contents", [])
    return {entry["Key"]: s3.client.head_object(Bucket=s3.bucket, Key=entry["Key"]) for entry in entries}


def test_a_video_is_stored_in_a_bucket_with_its_type(world: World, alice: User, bucket: S3) -> None:
    task = order_and_finish(world, alice)
    world.download()
    world.assert_charged(task)
    file = task.files.get()
    stored = objects(bucket)
    assert {name: head["ContentType"] for name, head in stored.items()} == {
        file.name: "video/mp4",
        file.poster_name: "image/webp",
    }
    assert stored[file.name]["ContentLength"] == file.size_bytes
    assert media_store.matches(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256)


def test_f53_a_bucket_that_fails_is_retried_until_it_works(
    world: World, alice: User, bucket: S3, settings: Settings
) -> None:
    task = order_and_finish(world, alice)
    working = settings.STORAGES
    broken = {
        "BACKEND": working["default"]["BACKEND"],
        "OPTIONS": working["default"]["OPTIONS"] | {"bucket_name": "none"},
    }
    settings.STORAGES = working | {"default": broken}
    world.download()
    storages["default"].connection.meta.client.close()  # type: ignore[attr-defined]
    assert world.reload(task).status == "downloading"
    assert "NoSuchBucket" in world.list_alerts("storage")[0].detail
    settings.STORAGES = working
    world.advance(minutes=2)
    world.download()
    world.assert_charged(task)
    assert not Alert.objects.filter(kind="storage", resolved_at=None).exists()


def test_f54_a_video_in_a_bucket_is_kept_after_a_crash(world: World, alice: User, bucket: S3) -> None:
    task = order_and_finish(world, alice)
    world.kill_at("download.moved", world.download)
    world.sandbox.wait_for("served", task_id=task.provider_task_id)
    world.advance(minutes=6)
    world.download()
    world.assert_charged(task)
    assert len(world.sandbox.events("served", task_id=task.provider_task_id)) == 1
    assert len(objects(bucket)) == 2


def test_the_sweep_keeps_objects_that_rows_name_and_removes_the_rest(world: World, alice: User, bucket: S3) -> None:
    task = order_and_finish(world, alice)
    world.download()
    media_store.store_bytes(b"stray", media_store.new_name(media_store.POSTERS, ".webp"), mime_type="image/webp")
    assert storage_cleanup.sweep_files(world.clock.now()) == 0
    world.advance(hours=25)
    assert storage_cleanup.sweep_files(world.clock.now()) == 1
    file = task.files.get()
    assert set(objects(bucket)) == {file.name, file.poster_name}


def test_objects_are_deleted_after_the_commit_and_by_the_sweep_if_that_fails(
    world: World,
    alice: User,
    bucket: S3,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    task = order_and_finish(world, alice)
    world.download()

    def refuse(name: str) -> None:
        raise media_store.StorageError("deleting: SlowDown")

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(media_store, "delete", refuse)
        assert storage_cleanup.delete_files(task) == 1
        assert len(objects(bucket)) == 2
        file = task.files.get()
    assert (file.state, file.source_url) == (State.DELETED, "")
    assert len(objects(bucket)) == 2
    assert storage_cleanup.sweep_files(world.clock.now()) == 1
    assert objects(bucket) == {}
    assert task.files.get().name == ""
    assert storage_cleanup.delete_files(task) == 0


@pytest.mark.django_db(transaction=True)
def test_files_are_fetched_in_parallel_and_two_results_make_one_ready_task(
    at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, settings: Settings
) -> None:
    world = World(at_sandbox, adjustable_clock)
    task = order_and_finish(world, make_person("alice@example.com"))
    source_url = task.files.get().source_url
    for index in (1, 2, 3):
        VideoFile.objects.create(task=task, index=index, source_url=source_url)
    settings.JOB_THREADS = 4
    assert downloads.download_due() == 4
    assert task.files.filter(state=State.STORED).count() == 4
    world.assert_charged(task)
    assert world.event_kinds(task).count("ready") == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_f21_of_many_workers_one_claims_a_file(
    at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, settings: Settings
) -> None:
    world = World(at_sandbox, adjustable_clock)
    task = order_and_finish(world, make_person("alice@example.com"))
    file_id = task.files.get().pk
    settings.JOB_THREADS = 8
    claimed: list[bool] = []
    concurrency.run_each(lambda _: claimed.append(downloads.download(file_id)), range(8))
    assert sorted(claimed) == [False] * 7 + [True]
    world.assert_charged(task)
    assert task.files.get().fence == 1
    assert len(world.sandbox.events("served", task_id=task.provider_task_id)) == 1
