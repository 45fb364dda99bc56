"""The drawn videos: they play, move, show the prompt, and are drawn quickly."""

import time
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from tests.sandbox import ROOT
from videos.sandbox.pictures import caption, scene
from videos.sandbox.pictures.drawing import FPS, draw
from videos.sandbox.video_spec import VideoSpec

# It takes two seconds on an idle core; test machines are rarely idle.
MAX_CPU_S = 4.0


def _spec(prompt: str, **other: object) -> VideoSpec:
    defaults = {"aspect": "16:9", "resolution": "720p", "duration_s": 4, "seed": 12345, "mark": ""}
    return VideoSpec(**{"prompt": prompt, **defaults, **other})  # type: ignore[arg-type]


def _frames(tmp_path: Path, spec: VideoSpec) -> list[Image.Image]:
    path = tmp_path / "video.mp4"
    draw(path, spec)
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]


def _difference(first: Image.Image, second: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean)


def test_eight_seconds_of_720p_are_drawn_quickly_and_play(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    started = time.process_time()
    draw(path, _spec("Neon city street in the rain at night", duration_s=8))
    assert time.process_time() - started < MAX_CPU_S
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, audio.codec_context.name) == (1280, 720, "aac")
        assert abs(float(container.duration or 0) / 1e6 - 8) < 0.1
        assert sum(1 for _ in container.decode(video=0)) == 8 * FPS
    with av.open(str(path)) as container:
        loudest = max(
            max(abs(sample) for sample in memoryview(bytes(frame.planes[0])).cast("f"))
            for frame in container.decode(audio=0)
        )
        assert 0.01 < loudest < 0.9
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert len(content) < 6_000_000


@pytest.mark.parametrize(
    ("prompt", "aspect"),
    [(prompt, "16:9") for prompt in ("sea", "city", "forest", "snow mountain", "desert", "a cat", "hills", "极光 湖")]
    + [("lighthouse", "9:16"), ("city in the rain", "9:16")],
)
def test_every_place_moves(tmp_path: Path, prompt: str, aspect: str) -> None:
    frames = _frames(tmp_path, _spec(prompt, aspect=aspect, duration_s=1))
    assert frames[0].size == ((1280, 720) if aspect == "16:9" else (720, 1280))
    assert _difference(frames[0], frames[-1]) > 1
    assert all(_difference(first, second) > 0.05 for first, second in pairwise(frames[10:16]))
    statistics = ImageStat.Stat(frames[len(frames) // 2].convert("L"))
    assert 15 < statistics.mean[0] < 235
    assert statistics.stddev[0] > 10


def test_the_prompt_is_in_the_lower_third(tmp_path: Path) -> None:
    frames = _frames(tmp_path, _spec("hills", duration_s=2))
    brightest = [frame.crop((0, 480, 1280, 720)).convert("L").histogram()[240:] for frame in (frames[0], frames[-1])]
    assert sum(brightest[0]) == 0
    assert sum(brightest[1]) > 200


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    def content(seed: int) -> bytes:
        path = tmp_path / f"{seed}.mp4"
        draw(path, _spec("hills", seed=seed, duration_s=1))
        return path.read_bytes()

    assert content(11111) == content(11111) != content(22222)


@pytest.mark.parametrize(
    ("prompt", "place", "hour", "weather"),
    [
        ("A lighthouse at dusk, waves, slow dolly in", "sea", "dusk", "clear"),
        ("黄昏的灯塔，海浪拍岸", "sea", "dusk", "clear"),
        ("Neon city in the rain at night", "city", "night", "rain"),
        ("东京街头的雨夜", "city", "night", "rain"),
        ("A misty forest at dawn", "forest", "dawn", "clear"),
        ("Snow on the mountain, bright noon", "peaks", "day", "snow"),
    ],
)
def test_words_of_the_prompt_choose_the_scene(prompt: str, place: str, hour: str, weather: str) -> None:
    result = scene.read_scene(prompt, seed=1)
    assert (result.place, result.hour, result.weather) == (place, hour, weather)


@pytest.mark.parametrize(
    "text", ["", "🎉🎉", "\x00\x07", "x" * 20_000, "﷽" * 50, "नमस्ते", "한국어", "日本語の灯台", "a\nb\tc", "\ud800"]
)
def test_any_prompt_can_be_drawn(text: str) -> None:
    lines = caption.wrap_lines(text, size=34, width=1000)
    assert len(lines) <= 3
    assert all(caption.text_width(line, 34) <= 1000 for line in lines)


def test_long_prompts_end_in_an_ellipsis_and_chinese_breaks_anywhere() -> None:
    english = caption.wrap_lines("A very long prompt that goes on and on " * 20, size=34, width=900)
    assert len(english) == 3
    assert english[-1].endswith("…")
    chinese = caption.wrap_lines("黄昏的灯塔，海浪拍岸，镜头缓缓推进。" * 3, size=34, width=600)
    assert len(chinese) == 3
    assert all("�" not in line for line in chinese)


def test_the_fonts_are_shipped_with_their_licences_and_draw_chinese() -> None:
    fonts = ROOT / "videos" / "sandbox" / "fonts"
    assert all(
        "SIL Open Font License" in (fonts / name).read_text() for name in ("OFL-Inter.txt", "OFL-NotoSansSC.txt")
    )
    assert sum(path.stat().st_size for path in fonts.iterdir()) < 6_000_000
    shipped = [caption.font(path, 30) for path in caption.SHIPPED]
    assert all(caption.find_font(letter, 30) in shipped for letter in "ABCéяΩ灯塔海浪，。镜")
