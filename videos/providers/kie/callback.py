"""Callbacks of kie.ai: parses what a body claims and verifies its signature.

The signature covers the task id and the time, not the body. So a claim is only a hint to poll record-info.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from videos.providers.base import CallbackHint, ReportState
from videos.providers.kie.replies import read_state
from videos.providers.kie.values import Oddities, as_mapping, read_int, read_task_id

_JSON_TYPES = ("application/json", "text/json")
_FAILURE_CODES = frozenset({400, 408, 422, 451, 500, 501})


class _JsonProblems:
    """While a body is parsed leniently, notes the first thing in it that strict JSON forbids."""

    def __init__(self) -> None:
        self.first = ""

    def note_constant(self, name: str) -> None:
        self.first = self.first or f"{name} is not JSON"

    def build_object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            self.first = self.first or "a key occurs twice"
        return value


def parse_callback(body: bytes, content_type: str) -> CallbackHint:
    """What the body of a callback claims; never raises. A malformed body may still name a task, and polling is free."""
    problems = _JsonProblems()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        problems.first = "the content type is not JSON"
    try:
        # Not `values.read_json`: anyone may send this body, so anything doubtful makes it malformed.
        value = json.loads(
            body.decode("utf-8"), parse_constant=problems.note_constant, object_pairs_hook=problems.build_object
        )
    except UnicodeDecodeError:
        return _malformed("not UTF-8")
    except RecursionError:
        return _malformed("nested too deeply")
    except ValueError:
        return _malformed("not JSON")
    if not isinstance(value, dict):
        return _malformed("not an object")
    data = as_mapping(value.get("data"))
    provider_task_id = read_task_id(data.get("taskId"), data.get("task_id"), value.get("taskId"), value.get("task_id"))
    problem = problems.first or ("" if provider_task_id else "no task id")
    return CallbackHint(
        provider_task_id=provider_task_id, claims=_read_claim(value, data), well_formed=not problem, problem=problem
    )


def _malformed(problem: str) -> CallbackHint:
    return CallbackHint(provider_task_id="", claims=ReportState.UNCLEAR, well_formed=False, problem=problem)


def _read_claim(root: Mapping[str, object], data: Mapping[str, object]) -> ReportState:
    """The state that the body claims.

    Some formats state it directly (`read_state`); the usual format only has a code that implies it.
    """
    stated = read_state(data, Oddities()) or read_state(root, Oddities())
    if stated is not None:
        return stated
    code = read_int(root.get("code"))
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
    """True if the signature is genuine and its timestamp within `tolerance_s` of `now`. Runs in constant time."""
    if not key or not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
        return False
    # Compare bytes, because comparing text allows ASCII only. Both conditions are always computed, for constant time.
    is_genuine = hmac.compare_digest(
        sign_callback(key, task_id, timestamp).encode(), signature.encode(errors="replace")
    )
    is_recent = abs(now.astimezone(UTC).timestamp() - int(timestamp)) <= tolerance_s
    return is_genuine and is_recent
