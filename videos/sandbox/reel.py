"""Puts pictures and sound into an MP4: H.264 yuv420p and AAC, the index in front. Knows nothing of what is shown."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

RATE_HZ = 44100
Planes = Sequence[bytes | bytearray]  # y, u and v of yuv420p, packed

# Pixel sizes by resolution, landscape; portrait swaps them.
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}


def size_of(resolution: str, aspect: str) -> tuple[int, int]:
    """Width and height in pixels."""
    width, height = SIZES[resolution]
    return (height, width) if aspect == "9:16" else (width, height)


def write(
    out: Path,
    *,
    frames: Iterable[Planes],
    drawn: tuple[int, int],
    size: tuple[int, int],
    fps: int,
    sound: Sequence[tuple[str, str]],
    preset: str = "superfast",
    crf: int = 25,
) -> None:
    """Encode `frames` (planes of yuv420p, `drawn` pixels wide and high) at `size`, with the sound of an audio graph.

    `sound` is a chain of libavfilter filters, (name, arguments), the first of them a source. One core is used: the
    sandbox shares its machine.
    """
    part = out.with_suffix(".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": preset, "crf": str(crf), "threads": "1"})
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.color_range = 1
        audio = container.add_stream("aac", rate=RATE_HZ, layout="stereo", options={"b": "96k"})
        _encode_video(container, video, frames, drawn=drawn, size=size, fps=fps)
        _encode_audio(container, audio, sound)
    part.replace(out)


def _encode_video(
    container: av.container.OutputContainer,
    video: VideoStream,
    frames: Iterable[Planes],
    *,
    drawn: tuple[int, int],
    size: tuple[int, int],
    fps: int,
) -> None:
    scaler = VideoReformatter()
    for number, planes in enumerate(frames):
        frame = av.VideoFrame(*drawn, "yuv420p")
        for plane, data in zip(frame.planes, planes, strict=True):
            plane.update(_strided(data, plane.width, plane.line_size))  # type: ignore[arg-type] # any buffer will do
        if size != drawn:
            frame = scaler.reformat(frame, *size, "yuv420p", interpolation="BICUBIC")
        frame.pts = number
        frame.time_base = Fraction(1, fps)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def _strided(data: bytes | bytearray, width: int, line_size: int) -> bytes | bytearray:
    """Rows padded to the length the encoder's memory has."""
    if width == line_size:
        return data
    gap = bytes(line_size - width)
    return b"".join(data[start : start + width] + gap for start in range(0, len(data), width))


def _encode_audio(
    container: av.container.OutputContainer, audio: AudioStream, sound: Sequence[tuple[str, str]]
) -> None:
    graph = av.filter.Graph()
    shape = [
        ("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        ("asetnsamples", "n=1024:p=1"),
        ("abuffersink", ""),
    ]
    chain = [graph.add(name, arguments or None) for name, arguments in [*sound, *shape]]
    for before, after in pairwise(chain):
        before.link_to(after)
    graph.configure()
    while True:
        try:
            frame = graph.pull()
        except av.error.EOFError:
            break
        if isinstance(frame, av.AudioFrame):
            container.mux(audio.encode(frame))
    container.mux(audio.encode(None))
