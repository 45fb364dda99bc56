"""Small real videos and images for tests; each is made once per run for each set of arguments."""

import functools
import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.video.stream import VideoStream
from PIL import Image, ImageDraw


@functools.cache
def make_video(
    *,
    duration_s: float = 8,
    width: int = 320,
    height: int = 180,
    rate: int = 24,
    sound: bool = True,
    codec: str = "h264",
) -> bytes:
    """An MP4 of a square moving over a changing background, with its index at the start of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        _write_video(path, duration_s=duration_s, width=width, height=height, rate=rate, sound=sound, codec=codec)
        return path.read_bytes()


def _write_video(path: Path, *, duration_s: float, width: int, height: int, rate: int, sound: bool, codec: str) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = cast(VideoStream, container.add_stream(codec, rate=rate))
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "ultrafast"} if codec == "h264" else {}
        audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        frame_count = round(duration_s * rate)
        for index in range(frame_count):
            picture = Image.new("RGB", (width, height), (index % 200, 80, 160))
            x = index * (width - 40) // frame_count
            ImageDraw.Draw(picture).rectangle((x, 60, x + 40, 100), fill=(255, 255, 255))
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for index in range(int(duration_s * 48000) // 1024):
                silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                silence.sample_rate, silence.pts, silence.time_base = 48000, index * 1024, Fraction(1, 48000)
                container.mux(audio.encode(silence))
            container.mux(audio.encode(None))


@functools.cache
def make_image(kind: str = "PNG", *, width: int = 640, height: int = 360) -> bytes:
    """An image file with some detail in it."""
    image = Image.new("RGB", (width, height), (30, 120, 90))
    ImageDraw.Draw(image).ellipse((20, 20, width - 20, height - 20), fill=(240, 200, 60))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
