"""Downloads while the disk is full or cannot be written, and the sweep of leftover files (faults.md D)."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from billing.credits import ledger
from billing.models import Alert
from tests.videos.pipeline.stored_files import State, file_of, incoming_names, stored_names, wait_s
from tests.videos.world import World
from videos.models import VideoTask
from videos.ordering.orders import StorageFull
from videos.pipeline import downloads
from videos.providers.http import download
from videos.storage import cleanup as storage_cleanup
from videos.storage import media_store, partial_downloads

pytestmark = pytest.mark.usefixtures("own_media")


def file_on_full_disk(target: io.BufferedRandom, after_bytes: int) -> Any:
    """A file that accepts `after_bytes` bytes and then raises ENOSPC."""

    class Full(io.RawIOBase):
        written = 0

        def seek(self, *args: Any) -> int:
            return target.seek(*args)

        def truncate(self, size: int | None = None) -> int:
            return target.truncate(size)

        def write(self, content: Any) -> int:
            self.written += len(content)
            if self.written > after_bytes:
                raise OSError(errno.ENOSPC, "No space left on device")
            return target.write(content)

    return Full()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_f52_a_disk_that_fills_up_during_a_download_leaves_the_task_waiting(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fetch_onto_full_disk(url: str, *, into: Any, **kwargs: Any) -> download.FetchResult:
        return download.fetch(url, into=file_on_full_disk(into, 10_000), **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "fetch", fetch_onto_full_disk)
        world.download()
    assert world.reload(task).status == "downloading"
    assert "ENOSPC" in world.list_alerts("storage")[0].detail
    assert incoming_names(settings) == []
    assert 40 <= wait_s(world, task) <= 80
    world.advance(minutes=2)
    world.download()
    world.assert_charged(task)
    assert not Alert.objects.filter(kind="storage", resolved_at=None).exists()


def test_f52_below_the_reserve_nothing_is_fetched_until_space_is_free(
    world: World, task: VideoTask, settings: Settings
) -> None:
    settings.DISK_RESERVE_MB = 10**9
    assert not media_store.has_free_space()
    world.download()
    assert world.reload(task).status == "downloading"
    assert world.sandbox.events("served", task_id=task.provider_task_id) == []
    assert len(world.list_alerts("storage")) == 1
    settings.DISK_RESERVE_MB = 0
    assert media_store.has_free_space()
    world.advance(minutes=2)
    world.download()
    world.assert_charged(task)


def test_f52_a_full_storage_never_loses_the_users_video_however_long_it_lasts(
    world: World, task: VideoTask, settings: Settings
) -> None:
    settings.DISK_RESERVE_MB = 10**9
    world.advance(days=13, hours=1)
    world.download()
    assert file_of(task).state == State.PENDING
    assert world.reload(task).status == "downloading"


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_f53_a_storage_that_cannot_be_written_is_retried_until_it_can(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(code, "no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        world.download()
    assert world.reload(task).status == "downloading"
    assert errno.errorcode[code] in world.list_alerts("storage")[0].detail
    assert incoming_names(settings) == []
    world.advance(minutes=2)
    world.download()
    world.assert_charged(task)
    assert len(stored_names(settings, "videos")) == len(stored_names(settings, "posters")) == 1


def test_f54_an_object_without_a_row_is_swept_after_a_day_and_not_before(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.download()
    orphan = media_store.new_name(media_store.VIDEOS, ".mp4")
    media_store.store_bytes(b"stray", orphan, mime_type="video/mp4")
    storage_cleanup.sweep_files(world.clock.now())
    assert orphan in stored_names(settings, "videos")
    world.advance(hours=25)
    assert storage_cleanup.sweep_files(world.clock.now()) == 1
    assert stored_names(settings, "videos") == [file_of(task).name]


def test_partial_downloads_are_removed_when_a_day_old_or_not_needed(
    world: World, task: VideoTask, settings: Settings
) -> None:
    folder = Path(settings.INCOMING_ROOT)
    folder.mkdir(parents=True)
    file = file_of(task)
    (folder / f"{task.pk}.0.0.part").write_bytes(b"another worker may be writing it")
    (folder / f"{task.pk}.7.1.part").write_bytes(b"no file with this index is pending")
    (folder / "abc.tmp").write_bytes(b"incomplete")
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == sorted([f"{task.pk}.0.0.part", "abc.tmp"])
    world.advance(hours=25)
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == []
    assert partial_downloads.path_of(file).parent == folder


def test_f52_new_orders_are_refused_uncharged_while_the_disk_is_full(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videos.storage.media_store.has_free_space", lambda: False)
    with pytest.raises(StorageFull) as refusal:
        world.order(alice)
    assert "Nothing was charged" in str(refusal.value)
    assert [entry.kind for entry in ledger.statement(alice)] == ["grant"]
    assert world.list_alerts("storage")
