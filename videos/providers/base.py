"""What veoapp asks of any provider of video: a few dataclasses and one Protocol. Knows no Django, no money, no rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class GenerationType(StrEnum):
    """What the images, if any, are for; the values are the wire's."""

    TEXT = "TEXT_2_VIDEO"
    FRAMES = "FIRST_AND_LAST_FRAMES_2_VIDEO"
    REFERENCE = "REFERENCE_2_VIDEO"


class RefusalReason(StrEnum):
    """Why a provider would not, or could not, make a video; a page turns each into a sentence and a next step."""

    CONTENT_POLICY = "content_policy"  # the prompt was flagged
    UNSAFE_IMAGE = "unsafe_image"  # an image was flagged
    PROMINENT_PERSON = "prominent_person"  # a real person's name or face
    LANGUAGE = "language"  # English prompts only
    IMAGE_UNREACHABLE = "image_unreachable"  # the provider could not fetch an image of ours
    AUDIO = "audio"  # the model could not make the sound
    INVALID = "invalid"  # a field is wrong
    TIMED_OUT = "timed_out"  # the provider's upstream went silent
    GENERATION = "generation"  # it failed and did not say why


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """One paid request. `image_urls` must be fetchable by the provider; `callback_url` is secret: never log it."""

    prompt: str
    model: str
    aspect_ratio: str  # "16:9", "9:16", "Auto"
    resolution: str  # "720p", "1080p", "4k"
    duration_s: int  # 4, 6, 8
    generation_type: GenerationType = GenerationType.TEXT
    image_urls: Sequence[str] = ()
    callback_url: str = ""
    seed: int | None = None  # 10000..99999
    watermark: str = ""
    enable_translation: bool = True


class ReportState(StrEnum):
    """The provider's verdict on a task."""

    GENERATING = "generating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNCLEAR = "unclear"  # an answer whose verdict we do not know: never final


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the provider says of one task, whoever asked: record-info's answer in our words.

    A SUCCEEDED report may carry no URLs; that is not a failure, the caller asks again.
    """

    provider_task_id: str
    state: ReportState
    result_urls: Sequence[str] = ()
    full_result_urls: Sequence[str] = ()  # after an extension: the joined video
    resolution: str = ""
    has_audio: bool | None = None
    seeds: Sequence[int] = ()
    reason: RefusalReason | None = None  # set when FAILED
    error_code: str = ""  # the provider's, as text
    error_message: str = ""  # the provider's words, bounded; for operators and as a quotation
    prompt: str | None = None  # the echo in paramJson, if any: proves that the task is ours
    created_at: datetime | None = None  # aware UTC; None when absent or of unknown zone
    completed_at: datetime | None = None
    provider_credits: Decimal | None = None  # what it cost, when the provider says so
    fallback: bool = False
    oddities: Sequence[str] = field(default=())  # short words for branches that were not the usual shape


@dataclass(frozen=True, kw_only=True)
class CallbackHint:
    """What a callback's body claims. Nothing in it is believed; `provider_task_id` says whom to ask about."""

    provider_task_id: str  # "" when the body names none
    claims: ReportState
    well_formed: bool
    problem: str = ""  # why the body is malformed, in a few words


@dataclass(frozen=True, kw_only=True)
class UpscaleReport:
    """The answer to a 1080p or 4K request: `url` once ready, else `ready` is False and one asks again.

    Paid once per task and index: asking again is how one learns that it is ready, and costs nothing more.
    """

    ready: bool
    url: str = ""
    provider_task_id: str = ""  # 4K: may be polled like any task
    provider_credits: Decimal | None = None
    message: str = ""  # the provider's words, bounded
    oddities: Sequence[str] = field(default=())


class Provider(Protocol):
    """One provider with one key. Paid calls are sent at most once by design: no method retries."""

    name: str

    def submit(self, request: VideoRequest) -> str:
        """Send one paid request; return the provider's task id. Raises NotSent, Refused, Unconfirmed."""
        ...

    def report(self, provider_task_id: str) -> Report:
        """Ask for the verdict. Raises NoAnswer, NotVisible, AccessDenied."""
        ...

    def balance(self) -> Decimal:
        """The provider credits left. Raises NoAnswer, OutOfCredits, AccessDenied."""
        ...

    def fresh_url(self, url: str) -> str:
        """A new short-lived link for a result. Raises NoAnswer, AccessDenied."""
        ...

    def upload(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """Put an image where the provider can fetch it; return its URL. Raises NoAnswer, AccessDenied."""
        ...
