"""Is this file a film that a browser can play to its end, and of about the length that was ordered? Knows no Django.

The bytes come from a stranger. They are opened as MP4 and as nothing else, from a file and never from an address (a
playlist posing as MP4 would make the decoder fetch), and only by decoders that every browser has as well.
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
# A model rounds; it does not halve or double. Beyond this the file is another film than the one ordered.
SHORTEST, LONGEST = 0.5, 2.0
# How much of the end may be missing by the frames' own clock: a last frame shown longer, sound that outlasts the picture.
END_WITHIN_S = 0.75


class NotAFilm(Exception):
    """The file is not what was ordered; the text is a short phrase of ours."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What the file itself says, and what decoding it has shown."""

    duration_s: float
    width: int
    height: int
    frame_rate: float
    video_codec: str
    audio_codec: str  # "" for a silent film

    @property
    def lines(self) -> int:
        """The 720 of 720p, upright or lying."""
        return min(self.width, self.height)


def examine(path: Path, *, asked_s: float) -> Film:
    """Open, measure, and decode the first frame and the last second. Raises NotAFilm."""
    with path.open("rb") as content:
        _check_boxes(content)
    with opened(path) as (container, video):
        duration_s = _duration_s(container, video)
        film = Film(
            duration_s=round(duration_s, 3),
            width=video.width,
            height=video.height,
            frame_rate=round(float(video.average_rate or video.guessed_rate or 0), 3),
            video_codec=_codec(video),
            audio_codec=_codec(container.streams.audio[0]) if container.streams.audio else "",
        )
        if next(container.decode(video), None) is None:
            raise NotAFilm("not one frame can be decoded")
        _check_end(container, video, duration_s)
    if not asked_s * SHORTEST <= duration_s <= asked_s * LONGEST:
        raise NotAFilm(f"{duration_s:.1f} s long where {asked_s:g} s were ordered")
    return film


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its film, of a size and kind that is safe to decode. Raises NotAFilm, also for the block's decoding."""
    try:
        with path.open("rb") as content, av.open(content, "r", format="mov", metadata_errors="ignore") as container:
            if not container.streams.video:
                raise NotAFilm("no picture in it")
            video = container.streams.video[0]
            codec = _codec(video)
            if codec not in CODECS:
                raise NotAFilm(f"the picture is coded as {codec}")
            if not 0 < video.width * video.height <= MAX_PIXELS:
                raise NotAFilm(f"{video.width} x {video.height} pixels")
            yield container, video
    except (av.FFmpegError, EOFError, ValueError, IndexError, ArithmeticError) as error:
        raise NotAFilm(f"it cannot be decoded ({type(error).__name__})") from error


def _codec(stream: VideoStream | AudioStream) -> str:
    # PyAV types it as always there; for a codec nobody knows it is not.
    context: CodecContext | None = stream.codec_context
    return context.name[:20] if context is not None else "something unknown"


def _duration_s(container: InputContainer, video: VideoStream) -> float:
    if video.duration is not None and video.time_base is not None:
        return float(video.duration * video.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    raise NotAFilm("it does not say how long it is")


def _check_end(container: InputContainer, video: VideoStream, duration_s: float) -> None:
    """A file cut short opens well and says its full length; only its last frames tell."""
    container.seek(int(max(duration_s - END_WITHIN_S, 0) * av.time_base))
    last_s = max((frame.time for frame in container.decode(video) if frame.time is not None), default=-1.0)
    if last_s < duration_s - END_WITHIN_S:
        raise NotAFilm(f"it ends at {max(last_s, 0):.1f} s of {duration_s:.1f} s")


def _check_boxes(content: BinaryIO) -> None:
    """The outermost boxes of an MP4 say their own lengths: one that leads past the end was cut."""
    size = content.seek(0, 2)
    at, seen = 0, set[bytes]()
    while at + 8 <= size and not {b"moov", b"mdat"} <= seen:
        content.seek(at)
        head = content.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if at == 0 and kind not in (b"ftyp", b"moov", b"free", b"wide", b"skip", b"mdat"):
            raise NotAFilm("not an MP4 file" if size else "no bytes")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:  # up to the end of the file
            length = size - at
        if length < 8 or at + length > size:
            raise NotAFilm("cut short")
        seen.add(kind)
        at += length
    if not {b"moov", b"mdat"} <= seen:
        raise NotAFilm("no film in it" if size else "no bytes")


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
