"""Parses single values of kie.ai's replies strictly: anything that is not in a known format becomes None or empty.

`Oddities` collects a label for everything that was not in the usual format, so that changes are noticed early.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

Scrub = Callable[[str], str]

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,160}")
_HTTP_URL = re.compile(r"https?://[^\s\"'<>\\]{1,4000}")
_URL_QUERY = re.compile(r"(https?://[^\s?]+)\?\S+")
_MAX_URLS = 16
_EARLIEST, _LATEST = 1_577_836_800, 4_102_444_800  # 2020 and 2100 in Unix seconds


class Oddities:
    """Collects labels of unusual values; each label is kept once, in the order in which they were noted."""

    def __init__(self, *labels: str) -> None:
        self._labels = dict.fromkeys(labels)

    def note(self, label: str) -> None:
        self._labels.setdefault(label)

    def labels(self) -> tuple[str, ...]:
        return tuple(self._labels)


def read_json(text: str | bytes) -> object:
    """The value of a JSON text. Numbers stay exact; NaN and the infinities become None. Raises only ValueError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except InvalidOperation:
        raise ValueError("a number out of range") from None


def as_mapping(value: object) -> Mapping[str, object]:
    """The value itself if it is a JSON object, otherwise an empty mapping."""
    return value if isinstance(value, dict) else {}


def as_json_mapping(value: object) -> Mapping[str, object]:
    """The JSON object that is given as such or as JSON text; an empty mapping for anything else."""
    if isinstance(value, str):
        try:
            value = read_json(value)
        except ValueError:
            return {}
    return as_mapping(value)


def first_present(*values: object) -> object:
    """The first value that is neither None nor an empty string."""
    return next((value for value in values if value is not None and value != ""), None)


def read_int(value: object) -> int | None:
    """The integer in 1, 1.0 or "1"; None for anything else, booleans included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < 18 and value == int(value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip(), re.ASCII):
        return int(value)
    return None


def read_credits(value: object, *, negative: bool = False) -> Decimal | None:
    """Provider credits, rounded to four decimal places, from a number or a string; None if the value is not usable.

    A value below 0 is usable only if `negative` is set.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", value.strip(), re.ASCII):
        return None
    number = Decimal(value)
    if not number.is_finite() or abs(number) > 1_000_000_000 or (number < 0 and not negative):
        return None
    exact = number.quantize(Decimal("0.0001")).normalize()
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact


def read_task_id(*values: object) -> str:
    """The first value that is usable as a task id, else "". Only the characters and the length are checked."""
    return next((value for value in values if isinstance(value, str) and _TASK_ID.fullmatch(value)), "")


def read_time(value: object, oddities: Oddities) -> datetime | None:
    """A time in UTC, from milliseconds since 1970 or a string with a time zone; None for anything else."""
    if value is None or value == "":
        return None
    number = read_int(value)
    if number is not None:
        if _EARLIEST <= number // 1000 < _LATEST:
            return datetime.fromtimestamp(number // 1000, UTC).replace(microsecond=number % 1000 * 1000)
        if _EARLIEST <= number < _LATEST:
            oddities.note("time_in_seconds")
            return datetime.fromtimestamp(number, UTC)
        oddities.note("time_out_of_range")
        return None
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        oddities.note("time_unreadable")
        return None
    if parsed.tzinfo is None:
        oddities.note("time_without_zone")
        return None
    return parsed.astimezone(UTC)


def read_urls(value: object, oddities: Oddities) -> tuple[str, ...]:
    """The http(s) URLs in any known format: an array, an array as JSON text, `[u]` without quotes, a single URL, null."""
    if value is None or value in ("", []):
        return ()
    if isinstance(value, str):
        oddities.note("urls_as_text")
        value = _urls_in_text(value.strip())
    if not isinstance(value, list):
        oddities.note("urls_unreadable")
        return ()
    urls = [item.strip() for item in value[:_MAX_URLS] if isinstance(item, str) and _HTTP_URL.fullmatch(item.strip())]
    if len(urls) < len(value):
        oddities.note("urls_unreadable")
    return tuple(dict.fromkeys(urls))


def _urls_in_text(text: str) -> Sequence[object]:
    if text == "null":
        return []
    if text.startswith(("[", '"')):
        try:
            value = read_json(text)
        except ValueError:
            # An example in kie.ai's documentation has brackets without quotes around the URLs.
            return [part.strip(" '\"") for part in re.split(r",(?=\s*['\"]?https?://)", text.strip("[]"))]
        return value if isinstance(value, list) else [value]
    return [text]


def clean_text(text: object, *, scrub: Scrub, limit: int = 300) -> str:
    """The provider's text made safe to store: one short printable line without secrets and query strings."""
    if not isinstance(text, str):
        return ""
    clean = _URL_QUERY.sub(r"\1", scrub(text))
    line = " ".join("".join(char if char.isprintable() else " " for char in clean).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
