"""kie.ai's replies in our words: the envelope around every answer, and the record of one task.

Reading never fails: whatever came, there is an `Envelope` or a `Report`, and `oddities` says what was unusual about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from videos.providers.base import RefusalReason, Report, ReportState
from videos.providers.http.exchange import Answer
from videos.providers.kie.refusal_reasons import reason_for
from videos.providers.kie.values import (
    Oddities,
    Scrub,
    amount,
    first,
    json_mapping,
    mapping,
    moment,
    plain,
    read_json,
    task_id,
    url_list,
    whole,
)

_FLAGS = {
    0: ReportState.GENERATING,
    1: ReportState.SUCCEEDED,
    2: ReportState.FAILED,  # before completion
    3: ReportState.FAILED,  # upstream
}
_WORDS = {
    "generating": ReportState.GENERATING,
    "waiting": ReportState.GENERATING,
    "queuing": ReportState.GENERATING,
    "success": ReportState.SUCCEEDED,
    "create_task_failed": ReportState.FAILED,
    "generate_failed": ReportState.FAILED,
    "fail": ReportState.FAILED,
    "failed": ReportState.FAILED,
}

# No video costs so much: a larger figure is an error of theirs, and must not become one of ours.
_DEAREST = Decimal(10_000_000)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """`{"code", "msg", "data"}` and the HTTP status it came with. Without JSON `code` is None and `root` empty."""

    status: int
    code: int | None
    message: str  # scrubbed
    data: object
    root: Mapping[str, object]
    note: str  # what was wrong with the body, in our words

    def describe(self) -> str:
        """One line for operators."""
        said = "" if self.code is None else f", code {self.code}"
        words = self.message or self.note
        return f"HTTP {self.status}{said}" + (f": {words}" if words else "")

    def new_task_id(self) -> str:
        """The usable task id that the answer names, or ""."""
        data = mapping(self.data)
        return task_id(
            data.get("taskId"),
            data.get("task_id"),
            data.get("recordId"),
            self.root.get("taskId"),
            self.root.get("task_id"),
        )


def open_envelope(answer: Answer, *, scrub: Scrub) -> Envelope:
    """The envelope of any answer."""
    root: Mapping[str, object] = {}
    note = ""
    if answer.truncated:
        note = "the body is too large or cut"
    elif not answer.body:
        note = "the body is empty"
    else:
        try:
            value = read_json(answer.body)
        except ValueError:
            shield = answer.status == 403 and b"error code: 1010" in answer.body[:200]
            note = "the network shield refused us (error code: 1010)" if shield else "the body is not JSON"
        else:
            root = mapping(value)
            note = "" if isinstance(value, dict) else "the body is not an object"
    return Envelope(
        status=answer.status,
        code=whole(root.get("code")),
        message=plain(first(root.get("msg"), root.get("message")), scrub=scrub),
        data=root.get("data"),
        root=root,
        note=note,
    )


def state_of(record: Mapping[str, object], oddities: Oddities) -> ReportState | None:
    """The verdict in a record or callback: `successFlag`, else `status` or `state`; None if it has none."""
    flag = record.get("successFlag")
    if flag is not None:
        if not isinstance(flag, int):
            oddities.note("flag_as_text")
        state = _FLAGS.get(number) if (number := whole(flag)) is not None else None
        if state is None:
            oddities.note("flag_unknown")
        return state or ReportState.UNCLEAR
    word = first(record.get("status"), record.get("state"))
    if word is None:
        return None
    oddities.note("status_word")
    state = _WORDS.get(word.strip().lower()) if isinstance(word, str) else None
    if state is None:
        oddities.note("status_unknown")
    return state or ReportState.UNCLEAR


def result_urls(record: Mapping[str, object], oddities: Oddities) -> tuple[str, ...]:
    """The finished video's URLs, from the first place that has any; ordered by how sure we are of each place."""
    response, info = mapping(record.get("response")), mapping(record.get("info"))
    market = json_mapping(record.get("resultJson"))
    places: tuple[tuple[str, object], ...] = (
        ("", response.get("resultUrls")),
        ("urls_in_data", record.get("resultUrls")),
        ("urls_in_info", info.get("resultUrls")),
        ("urls_snake_case", first(response.get("result_urls"), record.get("result_urls"), info.get("result_urls"))),
        ("urls_in_result_json", market.get("resultUrls")),
        ("url_in_video_url", first(record.get("videoUrl"), response.get("videoUrl"), record.get("resultUrl"))),
        # What an extension joined, and what was made before cropping: better than nothing, not than the result.
        ("urls_full_only", response.get("fullResultUrls")),
        ("urls_origin_only", response.get("originUrls")),
    )
    for word, value in places:
        urls = url_list(value, oddities)
        if urls:
            if word:
                oddities.note(word)
            return urls
    return ()


def cost_of(record: Mapping[str, object], oddities: Oddities) -> Decimal | None:
    """What the task cost, from the first place that says so readably, in provider credits."""
    places = (record, mapping(record.get("response")))
    said = [place.get(name) for place in places for name in ("creditsConsumed", "credits_consumed")]
    said = [value for value in said if value is not None]
    costs = [cost for value in said if (cost := amount(value)) is not None and cost <= _DEAREST]
    if len(costs) < len(said):
        oddities.note("credits_unreadable")
    return costs[0] if costs else None


def read_record(envelope: Envelope, *, asked: str, scrub: Scrub) -> Report:
    """record-info's `data` as a Report about the task `asked`. The verdict is the record's, never the envelope's."""
    record = mapping(envelope.data)
    response = mapping(record.get("response"))
    oddities = Oddities()
    if envelope.code != 200:
        oddities.note("verdict_in_an_error")
    state = state_of(record, oddities)
    if state is None:
        oddities.note("no_verdict")
        state = ReportState.UNCLEAR
    named = first(record.get("taskId"), record.get("task_id"))
    if named is None:
        oddities.note("no_task_id")
    elif named != asked:
        # Somebody else's record: nothing in it may be used.
        oddities.note("another_task")
        return Report(provider_task_id=asked, state=ReportState.UNCLEAR, oddities=oddities.words())
    urls = result_urls(record, oddities)
    if state is ReportState.SUCCEEDED and not urls:
        oddities.note("success_without_urls")
    if state is ReportState.GENERATING and urls:
        oddities.note("urls_too_early")
    code = first(record.get("errorCode"), record.get("error_code"))
    message = _failure_words(record, envelope, scrub=scrub) if state is ReportState.FAILED else ""
    echo = first(record.get("paramJson"), record.get("promptJson"))
    prompt = json_mapping(echo).get("prompt")
    return Report(
        provider_task_id=asked,
        state=state,
        result_urls=urls,
        full_result_urls=url_list(response.get("fullResultUrls"), oddities),
        resolution=plain(response.get("resolution"), scrub=scrub, limit=20),
        has_audio=_has_audio(response.get("hasAudioList")),
        seeds=_numbers(response.get("seeds")),
        reason=reason_for(whole(code), message, otherwise=RefusalReason.GENERATION)
        if state is ReportState.FAILED
        else None,
        error_code=plain(str(code), scrub=scrub, limit=40) if isinstance(code, int | str | Decimal) else "",
        error_message=message,
        prompt=prompt if isinstance(prompt, str) else None,
        created_at=moment(first(record.get("createTime"), record.get("createdAt")), oddities),
        completed_at=moment(first(record.get("completeTime"), record.get("completedAt")), oddities),
        provider_credits=cost_of(record, oddities),
        fallback=record.get("fallbackFlag") is True,
        oddities=oddities.words(),
    )


def _failure_words(record: Mapping[str, object], envelope: Envelope, *, scrub: Scrub) -> str:
    """The record's own words, else the envelope's; never its `success`, which speaks of the question only."""
    own = plain(first(record.get("errorMessage"), record.get("error_message"), record.get("failMsg")), scrub=scrub)
    return own or ("" if envelope.message.lower() == "success" else envelope.message)


def _has_audio(value: object) -> bool | None:
    heard = [item for item in value if isinstance(item, bool)] if isinstance(value, list) else []
    return heard[0] if heard else None


def _numbers(value: object) -> tuple[int, ...]:
    items = value[:16] if isinstance(value, list) else []
    return tuple(number for item in items if (number := whole(item)) is not None)
