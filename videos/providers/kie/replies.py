"""Parses kie.ai's replies: the envelope of every response, and the record of one task.

Parsing never fails: any reply becomes an `Envelope` or a `Report`, and `oddities` names what was unusual.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from videos.providers.base import RefusalReason, Report, ReportState
from videos.providers.http.exchange import ApiResponse
from videos.providers.kie.refusal_reasons import find_reason
from videos.providers.kie.values import (
    Oddities,
    Scrub,
    as_json_mapping,
    as_mapping,
    clean_text,
    first_present,
    read_credits,
    read_int,
    read_json,
    read_task_id,
    read_time,
    read_urls,
)

_FLAG_STATES = {
    0: ReportState.GENERATING,
    1: ReportState.SUCCEEDED,
    2: ReportState.FAILED,  # it failed before the video model started
    3: ReportState.FAILED,  # it failed in the video model
}
_STATUS_STATES = {
    "generating": ReportState.GENERATING,
    "waiting": ReportState.GENERATING,
    "queuing": ReportState.GENERATING,
    "success": ReportState.SUCCEEDED,
    "create_task_failed": ReportState.FAILED,
    "generate_failed": ReportState.FAILED,
    "fail": ReportState.FAILED,
    "failed": ReportState.FAILED,
}

# No video costs this much. A larger number is a mistake of the provider and must not be recorded.
_MAX_CREDITS = Decimal(10_000_000)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A reply of kie.ai: `{"code", "msg", "data"}`, and its HTTP status. `root` is the whole JSON object.

    If the body is not JSON, `code` is None and `root` is empty.
    """

    status: int
    code: int | None
    message: str  # without secrets
    data: object
    root: Mapping[str, object]
    note: str  # our text about a problem with the body

    def describe(self) -> str:
        """One line for operators."""
        code = "" if self.code is None else f", code {self.code}"
        text = self.message or self.note
        return f"HTTP {self.status}{code}" + (f": {text}" if text else "")

    def new_task_id(self) -> str:
        """The usable task id in the response, or ""."""
        data = as_mapping(self.data)
        return read_task_id(
            data.get("taskId"),
            data.get("task_id"),
            data.get("recordId"),
            self.root.get("taskId"),
            self.root.get("task_id"),
        )


def parse_envelope(response: ApiResponse, *, scrub: Scrub) -> Envelope:
    """The envelope of any response, whatever the body is."""
    root: Mapping[str, object] = {}
    note = ""
    if response.truncated:
        note = "the body is too large or cut"
    elif not response.body:
        note = "the body is empty"
    else:
        try:
            value = read_json(response.body)
        except ValueError:
            is_shield = response.status == 403 and b"error code: 1010" in response.body[:200]
            note = "the network shield refused us (error code: 1010)" if is_shield else "the body is not JSON"
        else:
            root = as_mapping(value)
            note = "" if isinstance(value, dict) else "the body is not an object"
    return Envelope(
        status=response.status,
        code=read_int(root.get("code")),
        message=clean_text(first_present(root.get("msg"), root.get("message")), scrub=scrub),
        data=root.get("data"),
        root=root,
        note=note,
    )


def read_state(record: Mapping[str, object], oddities: Oddities) -> ReportState | None:
    """The state in a record or callback, from `successFlag` or, without one, from `status` or `state`.

    None if there is none of these fields.
    """
    flag = record.get("successFlag")
    if flag is not None:
        if not isinstance(flag, int):
            oddities.note("flag_as_text")
        state = _FLAG_STATES.get(number) if (number := read_int(flag)) is not None else None
        if state is None:
            oddities.note("flag_unknown")
        return state or ReportState.UNCLEAR
    status = first_present(record.get("status"), record.get("state"))
    if status is None:
        return None
    oddities.note("status_word")
    state = _STATUS_STATES.get(status.strip().lower()) if isinstance(status, str) else None
    if state is None:
        oddities.note("status_unknown")
    return state or ReportState.UNCLEAR


def read_result_urls(record: Mapping[str, object], oddities: Oddities) -> tuple[str, ...]:
    """The URLs of the finished video, from the first field that has any; the most reliable fields come first."""
    response, info = as_mapping(record.get("response")), as_mapping(record.get("info"))
    market = as_json_mapping(record.get("resultJson"))
    candidates: tuple[tuple[str, object], ...] = (
        ("", response.get("resultUrls")),
        ("urls_in_data", record.get("resultUrls")),
        ("urls_in_info", info.get("resultUrls")),
        (
            "urls_snake_case",
            first_present(response.get("result_urls"), record.get("result_urls"), info.get("result_urls")),
        ),
        ("urls_in_result_json", market.get("resultUrls")),
        ("url_in_video_url", first_present(record.get("videoUrl"), response.get("videoUrl"), record.get("resultUrl"))),
        # The joined video of an extension and the video before cropping are used only if the result itself is missing.
        ("urls_full_only", response.get("fullResultUrls")),
        ("urls_origin_only", response.get("originUrls")),
    )
    for oddity, value in candidates:
        urls = read_urls(value, oddities)
        if urls:
            if oddity:
                oddities.note(oddity)
            return urls
    return ()


def read_cost(record: Mapping[str, object], oddities: Oddities) -> Decimal | None:
    """The cost of the task in provider credits, from the first field with a readable number."""
    parents = (record, as_mapping(record.get("response")))
    values = [parent.get(name) for parent in parents for name in ("creditsConsumed", "credits_consumed")]
    values = [value for value in values if value is not None]
    costs = [cost for value in values if (cost := read_credits(value)) is not None and cost <= _MAX_CREDITS]
    if len(costs) < len(values):
        oddities.note("credits_unreadable")
    return costs[0] if costs else None


def read_record(envelope: Envelope, *, requested_id: str, scrub: Scrub) -> Report:
    """Turn the `data` of record-info, called the record, into a Report on the task `requested_id`.

    The state comes from the record, not from the envelope around it.
    """
    record = as_mapping(envelope.data)
    response = as_mapping(record.get("response"))
    oddities = Oddities()
    if envelope.code != 200:
        oddities.note("verdict_in_an_error")
    state = read_state(record, oddities)
    if state is None:
        oddities.note("no_verdict")
        state = ReportState.UNCLEAR
    record_id = first_present(record.get("taskId"), record.get("task_id"))
    if record_id is None:
        oddities.note("no_task_id")
    elif record_id != requested_id:
        # Nothing in the record of another task may be used.
        oddities.note("another_task")
        return Report(provider_task_id=requested_id, state=ReportState.UNCLEAR, oddities=oddities.labels())
    urls = read_result_urls(record, oddities)
    if state is ReportState.SUCCEEDED and not urls:
        oddities.note("success_without_urls")
    if state is ReportState.GENERATING and urls:
        oddities.note("urls_too_early")
    code = first_present(record.get("errorCode"), record.get("error_code"))
    message = _failure_message(record, envelope, scrub=scrub) if state is ReportState.FAILED else ""
    echo = first_present(record.get("paramJson"), record.get("promptJson"))
    prompt = as_json_mapping(echo).get("prompt")
    return Report(
        provider_task_id=requested_id,
        state=state,
        result_urls=urls,
        full_result_urls=read_urls(response.get("fullResultUrls"), oddities),
        resolution=clean_text(response.get("resolution"), scrub=scrub, limit=20),
        has_audio=_read_has_audio(response.get("hasAudioList")),
        seeds=_read_ints(response.get("seeds")),
        reason=find_reason(read_int(code), message, otherwise=RefusalReason.GENERATION)
        if state is ReportState.FAILED
        else None,
        error_code=clean_text(str(code), scrub=scrub, limit=40) if isinstance(code, int | str | Decimal) else "",
        error_message=message,
        prompt=prompt if isinstance(prompt, str) else None,
        created_at=read_time(first_present(record.get("createTime"), record.get("createdAt")), oddities),
        completed_at=read_time(first_present(record.get("completeTime"), record.get("completedAt")), oddities),
        provider_credits=read_cost(record, oddities),
        fallback=record.get("fallbackFlag") is True,
        oddities=oddities.labels(),
    )


def _failure_message(record: Mapping[str, object], envelope: Envelope, *, scrub: Scrub) -> str:
    """The message of the record or, if it has none, of the envelope.

    A "success" in the envelope is ignored, because it only says that the call succeeded.
    """
    record_message = clean_text(
        first_present(record.get("errorMessage"), record.get("error_message"), record.get("failMsg")), scrub=scrub
    )
    return record_message or ("" if envelope.message.lower() == "success" else envelope.message)


def _read_has_audio(value: object) -> bool | None:
    flags = [item for item in value if isinstance(item, bool)] if isinstance(value, list) else []
    return flags[0] if flags else None


def _read_ints(value: object) -> tuple[int, ...]:
    items = value[:16] if isinstance(value, list) else []
    return tuple(number for item in items if (number := read_int(item)) is not None)
