"""What the sandbox takes for a right request body. The real sentences are unknown: these are neutral, trust none of them."""

from typing import Any

from videos.sandbox.wire import Request

Body = dict[str, Any]

MODELS = ("veo3", "veo3_fast", "veo3_lite")
EXTEND_MODELS = ("fast", "quality", "lite")
ASPECTS = ("16:9", "9:16", "Auto")
RESOLUTIONS = ("720p", "1080p", "4k")
DURATIONS = (4, 6, 8)
TEXT, FRAMES, REFERENCE = "TEXT_2_VIDEO", "FIRST_AND_LAST_FRAMES_2_VIDEO", "REFERENCE_2_VIDEO"
GENERATION_TYPES = (TEXT, FRAMES, REFERENCE)
_SEEDS = range(10_000, 100_000)
_PROMPT_MAX = 20_000
_URL_MAX = 2_048


class Invalid(ValueError):
    """The body is wrong; the text says which field."""


def body_of(request: Request) -> Body:
    """The JSON object a request carries."""
    try:
        body = request.json()
    except ValueError:
        raise Invalid("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Invalid("The request body must be an object")
    return body


def check_generate(body: Body) -> Body:
    """The body of generate with its defaults filled in; Invalid otherwise. Unknown fields pass."""
    filled: Body = {"model": "veo3_fast", "resolution": "720p", "duration": 8} | _present(body)
    # The older copies of the documentation say aspectRatio, and the real server took it.
    filled["aspect_ratio"] = filled.get("aspect_ratio", filled.pop("aspectRatio", "16:9"))
    filled.pop("aspectRatio", None)
    _prompt(filled)
    _one_of(filled, "model", MODELS)
    _one_of(filled, "aspect_ratio", ASPECTS)
    _one_of(filled, "resolution", RESOLUTIONS)
    _one_of(filled, "duration", DURATIONS)
    _optional(filled)
    images = _images(filled)
    filled.setdefault("generationType", FRAMES if images else TEXT)
    _one_of(filled, "generationType", GENERATION_TYPES)
    if filled["generationType"] == FRAMES and not 1 <= images <= 2:
        raise Invalid("imageUrls must hold 1 or 2 images for FIRST_AND_LAST_FRAMES_2_VIDEO")
    if filled["generationType"] == REFERENCE:
        if not 1 <= images <= 3:
            raise Invalid("imageUrls must hold 1 to 3 images for REFERENCE_2_VIDEO")
        if filled["model"] == "veo3":
            raise Invalid("model must be veo3_fast or veo3_lite for REFERENCE_2_VIDEO")
        if filled["duration"] != 8:
            raise Invalid("duration must be 8 for REFERENCE_2_VIDEO")
    return filled


def check_extend(body: Body) -> Body:
    """The body of extend with its defaults; whether the task may be extended is not asked here."""
    filled: Body = {"model": "fast"} | _present(body)
    _text(filled, "taskId", required=True)
    _prompt(filled)
    _one_of(filled, "model", EXTEND_MODELS)
    _optional(filled)
    return filled


def check_4k(body: Body) -> Body:
    filled: Body = {"index": 0} | _present(body)
    _text(filled, "taskId", required=True)
    _url(filled)
    index(filled["index"])
    return filled


def index(value: Any) -> int:
    """Which of a task's videos; ours have one."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if type(value) is not int or value != 0:
        raise Invalid("index is out of range")
    return value


def _present(body: Body) -> Body:
    return {key: value for key, value in body.items() if value is not None}


def _prompt(body: Body) -> None:
    _text(body, "prompt", required=True)
    if len(body["prompt"]) > _PROMPT_MAX:
        raise Invalid("prompt is too long")


def _text(body: Body, name: str, *, required: bool = False) -> None:
    if name not in body and not required:
        return
    if not isinstance(body.get(name), str):
        raise Invalid(f"{name} must be a string")
    if required and not body[name].strip():
        raise Invalid(f"{name} cannot be empty")


def _one_of(body: Body, name: str, allowed: tuple[Any, ...]) -> None:
    value = body[name]
    if type(value) is not type(allowed[0]) or value not in allowed:
        raise Invalid(f"{name} must be one of {', '.join(map(str, allowed))}")


def _optional(body: Body) -> None:
    _text(body, "watermark")
    _url(body)
    for name in ("enableTranslation", "enableFallback"):
        if name in body and not isinstance(body[name], bool):
            raise Invalid(f"{name} must be a boolean")
    if "seeds" in body and (type(body["seeds"]) is not int or body["seeds"] not in _SEEDS):
        raise Invalid("seeds must be an integer between 10000 and 99999")


def _url(body: Body) -> None:
    _text(body, "callBackUrl")
    if body.get("callBackUrl") and not _is_address(body["callBackUrl"]):
        raise Invalid("callBackUrl is not a valid URL")


def _images(body: Body) -> int:
    images = body.get("imageUrls", [])
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise Invalid("imageUrls must be a list of strings")
    if not all(_is_address(image) for image in images):
        raise Invalid("imageUrls must hold valid URLs")
    if len(images) > 3:
        raise Invalid("imageUrls holds too many images")
    return len(images)


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://")) and len(text) <= _URL_MAX
