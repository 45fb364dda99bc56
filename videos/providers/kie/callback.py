"""kie.ai's callbacks: what a body claims, and whether the signature beside it is the provider's.

The signature covers the task id and the time, not the body, so the claim is a hint at most: then ask record-info.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from videos.providers.base import CallbackHint, ReportState
from videos.providers.kie.replies import state_of
from videos.providers.kie.values import Oddities, mapping, task_id, whole

_JSON_TYPES = ("application/json", "text/json")
_FAILURE_CODES = frozenset({400, 408, 422, 451, 500, 501})


class _Flaws:
    """What strict JSON would have refused, noted while it is read leniently."""

    def __init__(self) -> None:
        self.found = ""

    def constant(self, name: str) -> None:
        self.found = self.found or f"{name} is not JSON"

    def pairs(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            self.found = self.found or "a key occurs twice"
        return value


def parse_callback(body: bytes, content_type: str) -> CallbackHint:
    """What the body of a callback claims; never raises. A malformed one may still name a task: asking is free."""
    flaws = _Flaws()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        flaws.found = "the content type is not JSON"
    try:
        # Not `kie_values.read_json`: a stranger may send this, so what is doubtful makes it malformed.
        value = json.loads(body.decode("utf-8"), parse_constant=flaws.constant, object_pairs_hook=flaws.pairs)
    except UnicodeDecodeError:
        return _malformed("not UTF-8")
    except RecursionError:
        return _malformed("nested too deeply")
    except ValueError:
        return _malformed("not JSON")
    if not isinstance(value, dict):
        return _malformed("not an object")
    data = mapping(value.get("data"))
    named = task_id(data.get("taskId"), data.get("task_id"), value.get("taskId"), value.get("task_id"))
    problem = flaws.found or ("" if named else "no task id")
    return CallbackHint(provider_task_id=named, claims=_claim(value, data), well_formed=not problem, problem=problem)


def _malformed(problem: str) -> CallbackHint:
    return CallbackHint(provider_task_id="", claims=ReportState.UNCLEAR, well_formed=False, problem=problem)


def _claim(root: Mapping[str, object], data: Mapping[str, object]) -> ReportState:
    """The state that the body speaks of: the flat shapes say it in words, the usual one by its code."""
    stated = state_of(data, Oddities()) or state_of(root, Oddities())
    if stated is not None:
        return stated
    code = whole(root.get("code"))
    if code == 200:
        return ReportState.SUCCEEDED
    return ReportState.FAILED if code in _FAILURE_CODES else ReportState.UNCLEAR


def sign_callback(key: str, task_id: str, timestamp: int | str) -> str:
    """The signature that kie.ai would send: base64(HMAC-SHA256(key, task id + "." + Unix seconds))."""
    digest = hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def verify_signature(
    key: str, task_id: str, timestamp: str, signature: str, *, now: datetime, tolerance_s: int = 300
) -> bool:
    """True if the signature is the provider's and its time is within the tolerance of `now` (aware). Constant time."""
    if not key or not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
        return False
    # Bytes, because comparing texts refuses anything but ASCII; both halves are always computed.
    genuine = hmac.compare_digest(sign_callback(key, task_id, timestamp).encode(), signature.encode(errors="replace"))
    fresh = abs(now.astimezone(UTC).timestamp() - int(timestamp)) <= tolerance_s
    return genuine and fresh
