"""Makes ready videos with stored files, without a provider."""

from pathlib import Path
from typing import Any

from accounts.models import User
from accounts.seams import clock
from tests.people import give_credits
from tests.videos.media_files import make_video
from videos.models import VideoFile, VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import video_probe
from videos.pipeline.video_probe import probe
from videos.storage import media_store

VIDEO = make_video(duration_s=4)


def ready_video(user: User, tmp_path: Path, *, content: bytes = VIDEO, prompt: str = "A kite, 夏天!") -> VideoTask:
    """A ready task whose video and poster are in the storage."""
    give_credits(user, 100)
    task = orders.create(user=user, order=VideoOrder(prompt=prompt), idempotency_key=prompt)
    at = clock.now()
    VideoTask.objects.filter(pk=task.pk).update(status="ready", provider_task_id=task.pk.hex, finished_at=at)
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    properties = probe(path, ordered_s=4)
    name, poster_name = media_store.new_name("videos", ".mp4"), media_store.new_name("posters", ".webp")
    media_store.store_bytes(
        video_probe.draw_poster(path, duration_s=properties.duration_s), poster_name, mime_type="image/webp"
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


def read_body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content
