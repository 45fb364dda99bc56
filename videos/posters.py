"""The still picture of a film: a frame from a third of its length, as WebP. Knows no Django."""

import io
from pathlib import Path

import av
from PIL import Image

from videos.film_check import NotAFilm, opened

AT_SHARE = 1 / 3
MAX_SIDE = 1280
# The first that fits in the limit is taken; the last is taken as it comes.
QUALITIES = (80, 65, 50)
LIMIT_BYTES = 150_000
MIME_TYPE = "image/webp"


def draw(path: Path, *, duration_s: float) -> bytes:
    """The poster of an examined film. Raises NotAFilm."""
    wanted_s = duration_s * AT_SHARE
    with opened(path) as (container, video):
        container.seek(int(wanted_s * av.time_base))
        frame = next((frame for frame in container.decode(video) if (frame.time or 0) >= wanted_s), None)
        if frame is None:
            raise NotAFilm("no frame in the middle")
        image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    for quality in QUALITIES:
        drawn = io.BytesIO()
        image.save(drawn, "WEBP", quality=quality, method=4)
        if drawn.tell() <= LIMIT_BYTES:
            break
    return drawn.getvalue()
