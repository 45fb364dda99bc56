"""The description of a video, from which its file is drawn."""

from dataclasses import dataclass

_SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """What a video shows. Equal specs give identical files; `mark` (the task id) makes a task's file unique."""

    prompt: str
    aspect: str
    resolution: str
    duration_s: int
    seed: int
    mark: str

    def size_at(self, resolution: str) -> tuple[int, int]:
        """Width and height in pixels at a resolution."""
        width, height = _SIZES[resolution]
        return (height, width) if self.aspect == "9:16" else (width, height)
