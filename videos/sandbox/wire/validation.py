"""Checks request bodies. The messages are not those of kie.ai, so clients must not rely on them."""

from typing import Any

from videos.sandbox.wire.messages import Request

Body = dict[str, Any]

TEXT, FRAMES, REFERENCE = "TEXT_2_VIDEO", "FIRST_AND_LAST_FRAMES_2_VIDEO", "REFERENCE_2_VIDEO"
_GENERATE: dict[str, tuple[Any, ...]] = {
    "model": ("veo3", "veo3_fast", "veo3_lite"),
    "aspect_ratio": ("16:9", "9:16", "Auto"),
    "resolution": ("720p", "1080p", "4k"),
    "duration": (4, 6, 8),
}
_EXTEND: dict[str, tuple[Any, ...]] = {"model": ("fast", "quality", "lite")}
_SEEDS = range(10_000, 100_000)
_PROMPT_MAX = 20_000
_URL_MAX = 2_048


class Invalid(ValueError):
    """The body is invalid; the message names the field."""


def parse_body(request: Request) -> Body:
    """The JSON object in the body of a request. Raises Invalid."""
    try:
        body = request.json()
    except ValueError:
        raise Invalid("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Invalid("The request body must be an object")
    return body


def check_generate(body: Body) -> Body:
    """The body of generate with defaults filled in. Raises Invalid; unknown fields are accepted."""
    filled: Body = {"model": "veo3_fast", "resolution": "720p", "duration": 8} | _without_nulls(body)
    # Older documentation says aspectRatio, and kie.ai accepted it.
    old_aspect = filled.pop("aspectRatio", "16:9")
    filled.setdefault("aspect_ratio", old_aspect)
    _check_common(filled, _GENERATE)
    images = _count_images(filled)
    kind = filled.setdefault("generationType", FRAMES if images else TEXT)
    _check_choice(filled, "generationType", (TEXT, FRAMES, REFERENCE))
    violations = {
        "imageUrls must hold 1 or 2 images": kind == FRAMES and images not in (1, 2),
        "imageUrls must hold 1 to 3 images": kind == REFERENCE and not images,
        "model must be veo3_fast or veo3_lite": kind == REFERENCE and filled["model"] == "veo3",
        "duration must be 8": kind == REFERENCE and filled["duration"] != 8,
    }
    for rule, is_violated in violations.items():
        if is_violated:
            raise Invalid(f"{rule} for {kind}")
    return filled


def check_extend(body: Body) -> Body:
    """The body of extend with defaults filled in. Does not check whether the task can be extended."""
    filled: Body = {"model": "fast"} | _without_nulls(body)
    _check_text(filled, "taskId", required=True)
    _check_common(filled, _EXTEND)
    return filled


def check_4k(body: Body) -> Body:
    filled: Body = {"index": 0} | _without_nulls(body)
    _check_text(filled, "taskId", required=True)
    _check_callback(filled)
    check_index(filled["index"])
    return filled


def check_index(value: Any) -> None:
    """Check which video of a task is requested; tasks here have only one, with index 0."""
    if type(value) not in (int, str) or not str(value).isdigit() or int(value):
        raise Invalid("index is out of range")


def _without_nulls(body: Body) -> Body:
    return {key: value for key, value in body.items() if value is not None}


def _check_common(body: Body, choices: dict[str, tuple[Any, ...]]) -> None:
    """Check the fields of all paid requests: the prompt, fields with fixed choices, and optional fields."""
    _check_text(body, "prompt", required=True)
    if len(body["prompt"]) > _PROMPT_MAX:
        raise Invalid("prompt is too long")
    for name, allowed in choices.items():
        _check_choice(body, name, allowed)
    _check_text(body, "watermark")
    _check_callback(body)
    for name in ("enableTranslation", "enableFallback"):
        if name in body and not isinstance(body[name], bool):
            raise Invalid(f"{name} must be a boolean")
    if "seeds" in body and (type(body["seeds"]) is not int or body["seeds"] not in _SEEDS):
        raise Invalid("seeds must be an integer between 10000 and 99999")


def _check_choice(body: Body, name: str, allowed: tuple[Any, ...]) -> None:
    if type(body[name]) is not type(allowed[0]) or body[name] not in allowed:
        raise Invalid(f"{name} must be one of {', '.join(map(str, allowed))}")


def _check_text(body: Body, name: str, *, required: bool = False) -> None:
    if (name in body or required) and not isinstance(body.get(name), str):
        raise Invalid(f"{name} must be a string")
    if required and not body[name].strip():
        raise Invalid(f"{name} cannot be empty")


def _check_callback(body: Body) -> None:
    _check_text(body, "callBackUrl")
    if body.get("callBackUrl") and not _is_url(body["callBackUrl"]):
        raise Invalid("callBackUrl is not a valid URL")


def _count_images(body: Body) -> int:
    images = body.get("imageUrls", [])
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise Invalid("imageUrls must be a list of strings")
    if not all(map(_is_url, images)):
        raise Invalid("imageUrls must hold valid URLs")
    if len(images) > 3:
        raise Invalid("imageUrls holds too many images")
    return len(images)


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://")) and len(text) <= _URL_MAX
