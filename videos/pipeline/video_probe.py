"""Checks that a file is a complete video that browsers can play and has about the ordered duration.

The bytes are untrusted. They are opened only as MP4, only from a file (a playlist disguised as MP4 would make the decoder
fetch URLs), and only with codecs that browsers also support. Does not use Django.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

CODECS = frozenset({"h264", "hevc", "av1", "vp9"})
MAX_PIXELS = 7680 * 4320
# Models round the duration but do not halve or double it: outside this range the file is a different video.
MIN_DURATION_RATIO, MAX_DURATION_RATIO = 0.5, 2.0
# The last frame may start this long before the end, e.g. because the sound is longer than the picture.
END_TOLERANCE_S = 0.75

POSTER_POSITION = 1 / 3
POSTER_MAX_SIDE = 1280
# Tried in this order until the poster has at most POSTER_MAX_BYTES; the last quality is used whatever the size.
POSTER_QUALITIES = (80, 65, 50)
POSTER_MAX_BYTES = 150_000
POSTER_MIME_TYPE = "image/webp"


class InvalidVideo(Exception):
    """The file is not the video that was ordered; the text is a short reason for operators."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """Properties of a video, read from the file and checked by decoding it."""

    duration_s: float
    width: int
    height: int
    frame_rate: float
    video_codec: str
    audio_codec: str  # empty if there is no sound


def probe(path: Path, *, ordered_s: float) -> VideoFacts:
    """Check the file by decoding its first and last frames; returns its properties. Raises InvalidVideo."""
    with path.open("rb") as content:
        _check_boxes(content)
    with open_video(path) as (container, video):
        duration_s = _read_duration_s(container, video)
        facts = VideoFacts(
            duration_s=round(duration_s, 3),
            width=video.width,
            height=video.height,
            frame_rate=round(float(video.average_rate or video.guessed_rate or 0), 3),
            video_codec=_codec_name(video),
            audio_codec=_codec_name(container.streams.audio[0]) if container.streams.audio else "",
        )
        if next(container.decode(video), None) is None:
            raise InvalidVideo("not one frame can be decoded")
        _check_end(container, video, duration_s)
    if not ordered_s * MIN_DURATION_RATIO <= duration_s <= ordered_s * MAX_DURATION_RATIO:
        raise InvalidVideo(f"{duration_s:.1f} s long where {ordered_s:g} s were ordered")
    return facts


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream, if it is safe to decode them. Raises InvalidVideo.

    Errors of the decoder inside the `with` block also become InvalidVideo.
    """
    try:
        with path.open("rb") as content, av.open(content, "r", format="mov", metadata_errors="ignore") as container:
            if not container.streams.video:
                raise InvalidVideo("no video stream")
            video = container.streams.video[0]
            codec = _codec_name(video)
            if codec not in CODECS:
                raise InvalidVideo(f"the video codec is {codec}")
            if not 0 < video.width * video.height <= MAX_PIXELS:
                raise InvalidVideo(f"{video.width} x {video.height} pixels")
            yield container, video
    except (av.FFmpegError, EOFError, ValueError, IndexError, ArithmeticError) as error:
        raise InvalidVideo(f"it cannot be decoded ({type(error).__name__})") from error


def _codec_name(stream: VideoStream | AudioStream) -> str:
    # PyAV declares `codec_context` as always set, but it is None for an unknown codec.
    context: CodecContext | None = stream.codec_context
    return context.name[:20] if context is not None else "unknown"


def _read_duration_s(container: InputContainer, video: VideoStream) -> float:
    if video.duration is not None and video.time_base is not None:
        return float(video.duration * video.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    raise InvalidVideo("its duration is unknown")


def _check_end(container: InputContainer, video: VideoStream, duration_s: float) -> None:
    """Check that the last frames exist: a truncated file can be opened and still states its full duration."""
    container.seek(int(max(duration_s - END_TOLERANCE_S, 0) * av.time_base))
    last_s = max((frame.time for frame in container.decode(video) if frame.time is not None), default=-1.0)
    if last_s < duration_s - END_TOLERANCE_S:
        raise InvalidVideo(f"it ends at {max(last_s, 0):.1f} s of {duration_s:.1f} s")


def _check_boxes(content: BinaryIO) -> None:
    """Check the top-level MP4 boxes: if one extends past the end of the file, the file was truncated."""
    size = content.seek(0, 2)
    offset, kinds = 0, set[bytes]()
    while offset + 8 <= size and not {b"moov", b"mdat"} <= kinds:
        content.seek(offset)
        head = content.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if offset == 0 and kind not in (b"ftyp", b"moov", b"free", b"wide", b"skip", b"mdat"):
            raise InvalidVideo("not an MP4 file" if size else "no bytes")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:  # the box extends to the end of the file
            length = size - offset
        if length < 8 or offset + length > size:
            raise InvalidVideo("cut short")
        kinds.add(kind)
        offset += length
    if not {b"moov", b"mdat"} <= kinds:
        raise InvalidVideo("no video in it" if size else "no bytes")


def draw_poster(path: Path, *, duration_s: float) -> bytes:
    """The poster of a probed video, as WebP. Raises InvalidVideo."""
    position_s = duration_s * POSTER_POSITION
    with open_video(path) as (container, video):
        container.seek(int(position_s * av.time_base))
        frame = next((frame for frame in container.decode(video) if (frame.time or 0) >= position_s), None)
        if frame is None:
            raise InvalidVideo("no frame in the middle")
        image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    image.thumbnail((POSTER_MAX_SIDE, POSTER_MAX_SIDE))
    for quality in POSTER_QUALITIES:
        output = io.BytesIO()
        image.save(output, "WEBP", quality=quality, method=4)
        if output.tell() <= POSTER_MAX_BYTES:
            break
    return output.getvalue()
