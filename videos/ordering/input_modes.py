"""The studio's four input modes: what a video is made from, and the slots for its images.

The studio is the page with the order form; a slot is the place in the form for one image.
"""

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from videos.models import VideoTask
from videos.ordering import catalogue

GenerationType = VideoTask.GenerationType


class Mode(models.TextChoices):
    """What a video is made from. For the provider, FIRST and BOTH are one generation type, with one or two images."""

    TEXT = "text", _("Text")
    FIRST = "first", _("First")
    BOTH = "both", _("First + last")
    REFERENCE = "reference", _("Reference")


GENERATION_TYPES = {
    Mode.TEXT: GenerationType.TEXT,
    Mode.FIRST: GenerationType.FRAMES,
    Mode.BOTH: GenerationType.FRAMES,
    Mode.REFERENCE: GenerationType.REFERENCE,
}
# The image slots of each mode, in the provider's order.
SLOTS: dict[str, tuple[str, ...]] = {
    Mode.TEXT: (),
    Mode.FIRST: ("first",),
    Mode.BOTH: ("first", "last"),
    Mode.REFERENCE: ("reference1", "reference2", "reference3"),
}
ALL_SLOTS = ("first", "last", "reference1", "reference2", "reference3")
SLOT_LABELS: dict[str, Promise] = {
    "first": _("First frame"),
    "last": _("Last frame"),
    "reference1": _("Reference 1"),
    "reference2": _("Reference 2"),
    "reference3": _("Reference 3"),
}
# Minimum number of images of each mode.
REQUIRED_IMAGES = {Mode.TEXT: 0, Mode.FIRST: 1, Mode.BOTH: 2, Mode.REFERENCE: 1}

AUTO = "Auto"
RESOLUTION_LABELS = {"720p": "720p", "1080p": "1080p", "4k": "4K"}
ASPECT_LABELS: dict[str, str | Promise] = {"16:9": "16:9", "9:16": "9:16", AUTO: _("As image")}


def mode_of(task: VideoTask, image_count: int) -> Mode:
    """The mode in which a task with `image_count` images was ordered."""
    if task.generation_type == GenerationType.REFERENCE:
        return Mode.REFERENCE
    if task.generation_type == GenerationType.FRAMES:
        return Mode.BOTH if image_count > 1 else Mode.FIRST
    return Mode.TEXT


def models_for(mode: str) -> list[catalogue.Model]:
    """The models that work in this mode."""
    return [model for model in catalogue.CATALOGUE if GENERATION_TYPES[Mode(mode)] in model.generation_types]


def aspects_for(mode: str) -> list[str]:
    """The aspect ratios of this mode; "as image" is offered only for modes with a first frame."""
    return [code for code in catalogue.ASPECT_RATIOS if code != AUTO or mode in (Mode.FIRST, Mode.BOTH)]
