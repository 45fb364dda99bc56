"""The studio's form and its conversion into an order. After an error, the form shows the entered values again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.seams import randomness
from videos.models import SourceImage, VideoTask
from videos.ordering import catalogue
from videos.ordering.input_modes import (
    ALL_SLOTS,
    ASPECT_LABELS,
    GENERATION_TYPES,
    REQUIRED_IMAGES,
    RESOLUTION_LABELS,
    SLOTS,
    Mode,
    mode_of,
)
from videos.ordering.orders import VideoOrder

# Which form field shows the error of an order field whose name differs; with None, the form itself shows it.
ERROR_FIELDS = {"generation_type": "mode", "images": None}


class StudioForm(forms.Form):
    """One order. `seen_price` is the price that the page showed to the user.

    `key` is an idempotency key: if the same form is sent twice, by a second click for example, it is ordered only once.
    """

    # Without `required`, the server reports an empty field, in the page's language; a browser would use its own.
    use_required_attribute = False

    key = forms.CharField(max_length=100, widget=forms.HiddenInput(attrs={"autocomplete": "off"}))
    mode = forms.ChoiceField(label=_("Made from"), choices=Mode, widget=forms.RadioSelect, initial=Mode.TEXT)
    prompt = forms.CharField(
        label=_("Prompt"),
        max_length=catalogue.PROMPT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": _("What should be seen and heard?")}),
        error_messages={
            "required": _("Describe what should be seen: a subject, what it does, how the camera moves."),
            "max_length": _("The prompt is too long: at most 2,000 characters."),
        },
    )
    model = forms.ChoiceField(
        label=_("Model"), choices=[(model.name, model.title) for model in catalogue.CATALOGUE], initial="veo3_fast"
    )
    aspect_ratio = forms.ChoiceField(label=_("Shape"), choices=list(ASPECT_LABELS.items()), initial="16:9")
    resolution = forms.ChoiceField(label=_("Resolution"), choices=list(RESOLUTION_LABELS.items()), initial="720p")
    duration_s = forms.TypedChoiceField(
        label=_("Length"), choices=[(length, length) for length in (4, 6, 8)], coerce=int, initial=8
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        required=False,
        min_value=catalogue.SEED_RANGE[0],
        max_value=catalogue.SEED_RANGE[1],
        help_text=_("A number from 10000 to 99999. The same seed and prompt give a similar video."),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), _("A seed is a number from 10000 to 99999.")
        ),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    watermark = forms.CharField(
        label=_("Watermark"),
        required=False,
        max_length=catalogue.WATERMARK_LIMIT,
        help_text=_("A few words, shown in the picture."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    enable_translation = forms.BooleanField(
        label=_("Translate my prompt to English first"),
        required=False,
        initial=True,
        help_text=_("The models understand English best. Switch off to send your words as they are."),
    )
    image_first = forms.UUIDField(required=False)
    image_last = forms.UUIDField(required=False)
    image_reference1 = forms.UUIDField(required=False)
    image_reference2 = forms.UUIDField(required=False)
    image_reference3 = forms.UUIDField(required=False)
    seen_price = forms.IntegerField(required=False)

    def __init__(self, *, user: User, data: Mapping[str, Any] | None = None, initial: dict[str, Any] | None = None):
        super().__init__(data=data, initial={"key": str(randomness.new_uuid()), **(initial or {})})
        # With maxlength the browser would silently cut a longer text; the server keeps it and shows an error.
        self.fields["prompt"].widget.attrs.pop("maxlength", None)
        self.user = user
        self.slot_errors: dict[str, str | Promise] = {}

    def value_of(self, name: str) -> Any:
        """The field's submitted value, or its initial value if the form was not submitted."""
        return self[name].value()

    def chosen_images(self) -> dict[str, SourceImage]:
        """The user's own images by slot; empty slots and other users' images are left out."""
        image_ids: dict[str, UUID] = {}
        for slot in ALL_SLOTS:
            try:
                image_ids[slot] = UUID(str(self.value_of(f"image_{slot}")))
            except ValueError:
                continue
        images = SourceImage.objects.filter(user=self.user).in_bulk(list(image_ids.values()))
        return {slot: images[image_id] for slot, image_id in image_ids.items() if image_id in images}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        mode = cleaned.get("mode")
        if mode:
            images = self.chosen_images()
            cleaned["image_ids"] = tuple(images[slot].pk for slot in SLOTS[mode] if slot in images)
            if len(cleaned["image_ids"]) < REQUIRED_IMAGES[Mode(mode)]:
                empty_slot = next(slot for slot in SLOTS[mode] if slot not in images)
                self.slot_errors.setdefault(empty_slot, _missing_image_error(mode))
                self.add_error(f"image_{empty_slot}", str(_missing_image_error(mode)))
        return cleaned

    def order(self) -> VideoOrder:
        """The order of a valid form."""
        values = self.cleaned_data
        return VideoOrder(
            prompt=values["prompt"],
            model=values["model"],
            aspect_ratio=values["aspect_ratio"],
            resolution=values["resolution"],
            duration_s=values["duration_s"],
            generation_type=GENERATION_TYPES[Mode(values["mode"])],
            image_ids=values["image_ids"],
            seed=values["seed"],
            watermark=values["watermark"],
            enable_translation=values["enable_translation"],
        )

    def add_order_errors(self, errors: Mapping[str, str | Promise]) -> None:
        """Add an order's errors to the form fields they belong to."""
        for name, message in errors.items():
            self.add_error(ERROR_FIELDS.get(name, name if name in self.fields else None), str(message))


def form_values_of(task: VideoTask) -> dict[str, Any]:
    """The settings of an earlier video as initial values of the form, for "run again" and "edit and retry"."""
    images = [task_image.image_id for task_image in task.task_images.all()]
    mode = mode_of(task, len(images))
    return {
        "mode": mode,
        "prompt": task.prompt,
        "model": task.model,
        "aspect_ratio": task.aspect_ratio,
        "resolution": task.resolution,
        "duration_s": task.duration_s,
        "seed": task.seed,
        "watermark": task.watermark,
        "enable_translation": task.enable_translation,
        **{f"image_{slot}": image_id for slot, image_id in zip(SLOTS[mode], images, strict=False)},
    }


def _missing_image_error(mode: str) -> Promise:
    if mode == Mode.REFERENCE:
        return _("Add at least one reference image, or choose Text.")
    if mode == Mode.BOTH:
        return _("Add a first and a last frame, or choose First for one frame.")
    return _("Add a first frame, or choose Text.")
