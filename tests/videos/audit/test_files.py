"""The frequent check of stored files: it is limited, takes the files in turn, and reports a missing file until it is back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from pytest_django.fixtures import Settings
from storages.backends.s3 import S3Storage

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.audit.runner import AuditResult, Coverage
from billing.models import Alert
from tests.billing import history
from tests.billing.conftest import manual_clock
from tests.clocks import ManualClock
from tests.s3 import S3, s3_server
from videos.audit import files as file_audit
from videos.models import SourceImage, VideoFile, VideoTask
from videos.storage import media_store
from videos.worker import tasks as worker_tasks

__all__ = ["manual_clock", "s3_server"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.MAX_CONCURRENT_PER_USER = 10
    return tmp_path / "media"


@pytest.fixture
def requested_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose size was requested from the storage."""
    names: list[str] = []
    size = FileSystemStorage.size

    def record_name(storage: FileSystemStorage, name: str) -> int:
        names.append(name)
        return size(storage, name)

    monkeypatch.setattr(FileSystemStorage, "size", record_name)
    return names


def make_videos(user: User, count: int) -> list[VideoTask]:
    return [history.make_ready(user) for _ in range(count)]


def file_name(task: VideoTask) -> str:
    return VideoFile.objects.get(task=task).name


def find_missing(result: AuditResult) -> set[tuple[str, str]]:
    return {(problem.invariant, problem.reference) for problem in result.problems if problem.invariant == "I7"}


def test_a_frequent_check_takes_some_files_in_turn(
    alice: User, manual_clock: ManualClock, requested_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_audit, "MAX_CHECKED", 2)
    names = {file_name(task) for task in make_videos(alice, 5)}
    checked_names: set[str] = set()
    for number in (1, 2, 3):
        requested_names.clear()
        manual_clock.sleep(900)
        result = audit_runner.run_audit(frequent=True)
        assert result.coverage == [Coverage("images", 0, 0), Coverage("video files", 2, 5)]
        assert len(requested_names) == 2
        checked_names |= set(requested_names)
        assert len(checked_names) == min(2 * number, 5)
    assert checked_names == names
    manual_clock.sleep(900)
    requested_names.clear()
    newest = file_name(history.make_ready(alice))
    audit_runner.run_audit(frequent=True)
    assert newest in requested_names, "a file that was never checked comes first"


def test_a_missing_file_is_reported_by_every_check_until_it_is_back(
    alice: User, manual_clock: ManualClock, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_audit, "MAX_CHECKED", 1)
    lost, *_others = make_videos(alice, 3)
    path = media / file_name(lost)
    path.unlink()
    for _ in range(4):
        manual_clock.sleep(900)
        assert find_missing(audit_runner.run_audit(frequent=True)) <= {("I7", lost.reference)}
    for _ in range(3):
        manual_clock.sleep(900)
        assert find_missing(audit_runner.run_audit(frequent=True)) == {("I7", lost.reference)}, (
            "whichever other file was checked"
        )
    assert Alert.objects.get(kind="books", resolved_at=None).count > 3
    path.write_bytes(history.VIDEO_BYTES)
    manual_clock.sleep(900)
    assert find_missing(audit_runner.run_audit(frequent=True)) == set()
    assert Alert.objects.get(kind="books").resolved_at is not None


def test_a_problem_found_by_reading_is_cleared_only_by_reading(alice: User, media: Path) -> None:
    (task,) = make_videos(alice, 1)
    path = media / file_name(task)
    path.write_bytes(history.VIDEO_BYTES[::-1])
    assert find_missing(audit_runner.run_audit(frequent=True)) == set()
    assert find_missing(audit_runner.run_audit(deep=True)) == {("I7", task.reference)}
    assert find_missing(audit_runner.run_audit(frequent=True)) == {("I7", task.reference)}
    path.write_bytes(history.VIDEO_BYTES)
    assert find_missing(audit_runner.run_audit(frequent=True)) == set()


def test_a_slow_storage_cuts_short_only_a_frequent_check(
    alice: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(alice, 4)

    def exists_slowly(name: str) -> bool:
        manual_clock.sleep(30)
        return True

    monkeypatch.setattr(media_store, "exists", exists_slowly)
    assert Coverage("video files", 2, 4) in audit_runner.run_audit(frequent=True).coverage
    assert Coverage("video files", 2, 4) in audit_runner.run_audit(frequent=True).coverage
    assert not VideoFile.objects.filter(checked_at=None).exists(), (
        "the second check continued where the first had ended"
    )
    assert Coverage("video files", 4, 4) in audit_runner.run_audit().coverage
    assert Coverage("video files", 4, 4) in audit_runner.run_audit(deep=True, frequent=True).coverage


def test_a_failing_storage_clears_no_earlier_result(alice: User, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, other = make_videos(alice, 2)
    (media / file_name(lost)).unlink()
    assert find_missing(audit_runner.run_audit(frequent=True)) == {("I7", lost.reference)}

    def raise_error(storage: FileSystemStorage, name: str) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(FileSystemStorage, "size", raise_error)
    result = audit_runner.run_audit(frequent=True)
    assert find_missing(result) == {("I7", lost.reference), ("I7", "storage")}
    assert not VideoFile.objects.get(task=other).problem
    assert result.coverage == []


def test_images_are_checked_in_turn_as_well(
    alice: User, manual_clock: ManualClock, requested_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_audit, "MAX_CHECKED", 1)
    for number in range(2):
        media_store.store_bytes(b"image", f"images/{number}.webp", mime_type="image/webp")
        SourceImage.objects.create(
            user=alice, name=f"images/{number}.webp", mime_type="image/webp", width=1, height=1, size_bytes=5
        )
    default_storage.delete("images/1.webp")
    manual_clock.sleep(900)
    assert Coverage("images", 1, 2) in audit_runner.run_audit(frequent=True).coverage
    manual_clock.sleep(900)
    result = audit_runner.run_audit(frequent=True)
    assert set(requested_names) == {"images/0.webp", "images/1.webp"}
    assert find_missing(result) == {("I7", f"image:{SourceImage.objects.get(name='images/1.webp').pk}")}


def test_the_worker_runs_the_limited_check(
    alice: User, requested_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_audit, "MAX_CHECKED", 1)
    make_videos(alice, 2)
    worker_tasks.books()
    assert len(requested_names) == 1


@pytest.mark.parametrize("is_frequent", [True, False])
def test_a_bucket_gets_two_requests_for_each_video(
    alice: User, s3_server: S3, settings: Settings, is_frequent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, lost = make_videos(alice, 2)
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3_server.storage_options}
    }
    poster = VideoFile.objects.get(task=task).poster_name
    for name, content in ((file_name(task), history.VIDEO_BYTES), (poster, history.POSTER_BYTES)):
        s3_server.client.put_object(Bucket=s3_server.bucket, Key=name, Body=content)
    calls: list[str] = []

    def count_calls(name: str) -> None:
        method = getattr(S3Storage, name)

        def counted(storage: S3Storage, file: str) -> Any:
            calls.append(name)
            return method(storage, file)

        monkeypatch.setattr(S3Storage, name, counted)

    count_calls("exists")
    count_calls("size")
    assert find_missing(audit_runner.run_audit(frequent=is_frequent)) == {("I7", lost.reference)}
    assert sorted(calls) == ["exists", "size", "size"]


def test_rechecked_files_leave_time_for_the_others(
    alice: User, manual_clock: ManualClock, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_audit, "MAX_RECHECKED", 1)
    for task in make_videos(alice, 3):
        (media / file_name(task)).unlink()
    manual_clock.sleep(900)
    audit_runner.run_audit(frequent=True)
    new_video = history.make_ready(alice)
    manual_clock.sleep(900)
    result = audit_runner.run_audit(frequent=True)
    assert len(find_missing(result)) == 3, "all known problems are reported, whichever files were checked again"
    assert Coverage("video files", 2, 4) in result.coverage
    checked_at = VideoFile.objects.get(task=new_video).checked_at
    assert checked_at == manual_clock.at
    assert VideoFile.objects.filter(checked_at__lt=manual_clock.at - timedelta(minutes=1)).count() == 2
