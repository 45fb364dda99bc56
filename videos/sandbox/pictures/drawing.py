"""Makes a video as MP4 (H.264 and AAC): the landscape of its prompt in colour, with grain, the caption and a chord."""

import random
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageChops

from videos.sandbox.pictures.caption import Planes, caption
from videos.sandbox.pictures.landscape import Landscape, column, noise
from videos.sandbox.pictures.scene import Scene, read_scene
from videos.sandbox.video_spec import VideoSpec

FPS, _PLAIN_FPS = 20, 5
_SOUND_HZ, _SAMPLES = 8000, 500  # enough, because all tones are below 1500 Hz
# BT.709 in video range, as players assume for HD: y, u and v of red, green, blue and 1.
_YUV = ((0.1826, 0.6142, 0.0620, 16), (-0.1006, -0.3386, 0.4392, 128), (0.4392, -0.3989, -0.0403, 128))
_ROOTS_HZ = {"dawn": 146.8, "day": 174.6, "dusk": 130.8, "night": 110.0, "aurora": 98.0}


def draw(out: Path, spec: VideoSpec) -> None:
    """Draw the video of a prompt. A 4K video is drawn at 1080p and scaled up."""
    scene = read_scene(spec.prompt, seed=spec.seed)
    _encode(out, _frames(scene, spec), spec, fps=FPS, sound=_chord(scene))


def draw_plain(out: Path, spec: VideoSpec) -> None:
    """Draw a plain grey video with a tone: correct size, length and codecs, for little CPU time."""
    size = spec.size_at("720p")
    grey = Image.new("L", size, 128).reduce(2)
    frames = ((Image.new("L", size, 40 + 3 * n % 160), grey, grey) for n in range(spec.duration_s * _PLAIN_FPS))
    _encode(out, frames, spec, fps=_PLAIN_FPS, sound="0.05*sin(2*PI*220*t)")


def _frames(scene: Scene, spec: VideoSpec) -> Iterator[Planes]:
    size = spec.size_at("720p" if spec.resolution == "720p" else "1080p")
    rng = random.Random(f"{spec.seed}:{spec.prompt}")  # noqa: S311 - no secrets
    landscape, write = Landscape(scene, size, duration_s=spec.duration_s, rng=rng), caption(spec.prompt, size)
    tables, canvas = _tables(scene.ramp), Image.new("L", size)
    # Noise hides the steps in gradients; a darker lower part makes the caption readable.
    grain = noise(size, rng).point([126 + value // 52 for value in range(256)])
    grain = ImageChops.subtract(grain, column(size, (0, 0), (0.5, 0), (1, 60)))
    for number in range(spec.duration_s * FPS):
        for layer in landscape.layers:
            layer(canvas, number / FPS)
        half = canvas.reduce(2)
        luma = ImageChops.add(canvas.point(tables[0]), ImageChops.offset(grain, 97 * number, 0), 1, -128)
        planes = (luma, half.point(tables[1]), half.point(tables[2]))
        write(planes, number / FPS)
        yield planes


def _tables(ramp: str) -> list[list[int]]:
    """Three tables that map each grey tone of the canvas to y, u and v, by the colours of `ramp`."""
    colours = bytes.fromhex(ramp.replace("#", ""))
    row = Image.frombytes("RGB", (len(colours) // 3, 1), colours)
    row = row.resize((256, 1), Image.Resampling.BICUBIC, box=(0.5, 0, row.width - 0.5, 1))
    return [list(row.convert("L", factors).tobytes()) for factors in _YUV]


def _chord(scene: Scene) -> str:
    """A formula of the time t for libavfilter: soft sine tones that grow louder in turn, and noise as wind or water."""
    wind, root_hz = 0.05 if scene.place == "sea" or scene.weather == "rain" else 0.012, _ROOTS_HZ[scene.hour]
    voices = (f"0.1/{n}*(0.6+0.4*sin(t/{n}+2*{n}))*sin(PI*{root_hz}*{n + 1}*t)" for n in range(1, 5))
    return f"{wind}*(0.6+0.4*sin(1.2*t))*(random(0)*2-1)+" + "+".join(voices)


def _encode(out: Path, frames: Iterable[Planes], spec: VideoSpec, *, fps: int, sound: str) -> None:
    """Encode the frames, scaled if necessary, and the sound of a formula. Uses one CPU core."""
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        options = {"preset": "ultrafast", "crf": "27", "threads": "1"}
        video = container.add_stream("libx264", rate=fps, options=options)
        video.width, video.height = spec.size_at(spec.resolution)
        video.pix_fmt, video.codec_context.color_range = "yuv420p", 1
        audio = container.add_stream("aac", rate=44100, layout="stereo", options={"b": "96k"})
        for number, planes in enumerate(frames):
            frame = av.VideoFrame(*planes[0].size, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            for plane, picture in zip(frame.planes, planes, strict=True):
                # Rows are padded to the line size that the encoder expects.
                plane.update(picture.crop((0, 0, plane.line_size, picture.height)).tobytes())
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        graph = av.filter.Graph()
        source = graph.add("aevalsrc", f"exprs={sound}:s={_SOUND_HZ}:d={spec.duration_s}:n={_SAMPLES}")
        fades = graph.add("afade", "t=in:d=0.9"), graph.add("afade", f"t=out:st={spec.duration_s - 1}:d=1")
        graph.link_nodes(source, graph.add("lowpass", "f=1500"), *fades, graph.add("abuffersink")).configure()
        for _ in range(spec.duration_s * _SOUND_HZ // _SAMPLES):
            container.mux(audio.encode(graph.pull()))  # type: ignore[arg-type] # the graph ends in an audio sink
        container.mux(audio.encode(None))
