"""Draws videos when they are first requested and keeps a limited number of files on disk."""

import contextlib
import io
import shutil
import tempfile
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import av

from videos.sandbox.pictures.drawing import draw, draw_plain
from videos.sandbox.video_spec import VideoSpec


class VideoFiles:
    """Draws one video at a time. A file deleted to save space is drawn again and is identical."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox-videos-"))
        self._drawing = threading.Lock()

    def video(self, spec: VideoSpec, *, plain: bool = False) -> bytes:
        """The file, without the mark that `hosting` adds. With `plain` (load tests) videos of one size are equal."""
        shape = (spec.aspect, spec.resolution, spec.duration_s) if plain else replace(spec, mark="")
        path = self._folder / f"{sha256(repr(shape).encode()).hexdigest()}.mp4"
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        with self._drawing:
            if not path.exists():
                part = path.with_suffix(".part")
                (draw_plain if plain else draw)(part, spec)
                part.replace(path)
                # Keep the newest 200 files.
                for old in sorted(self._folder.glob("*.mp4"), key=lambda file: file.stat().st_mtime)[:-200]:
                    old.unlink()
            return path.read_bytes()

    def poster(self, spec: VideoSpec, *, plain: bool = False) -> bytes:
        """A frame from the middle, as JPEG."""
        out = io.BytesIO()
        with av.open(io.BytesIO(self.video(spec, plain=plain)), "r") as container:
            middle = next(frame for frame in container.decode(video=0) if frame.time >= spec.duration_s / 2)
            middle.to_image().save(out, "JPEG", quality=85)  # type: ignore[no-untyped-call]
        return out.getvalue()

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
