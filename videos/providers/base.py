"""The interface of a video provider: a few dataclasses and one Protocol. Knows no Django, no credits of users, no rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class GenerationType(StrEnum):
    """What the images, if any, are for; the values are the provider's."""

    TEXT = "TEXT_2_VIDEO"
    FRAMES = "FIRST_AND_LAST_FRAMES_2_VIDEO"
    REFERENCE = "REFERENCE_2_VIDEO"


class RefusalReason(StrEnum):
    """Why a provider would not or could not make a video; pages show a sentence and a next step for each."""

    CONTENT_POLICY = "content_policy"  # the prompt was flagged
    UNSAFE_IMAGE = "unsafe_image"  # an image was flagged
    PROMINENT_PERSON = "prominent_person"  # a real person's name or face
    LANGUAGE = "language"  # English prompts only
    IMAGE_UNREACHABLE = "image_unreachable"  # the provider could not fetch an image of ours
    AUDIO = "audio"  # the model could not make the sound
    INVALID = "invalid"  # a field is wrong
    TIMED_OUT = "timed_out"  # the provider's upstream went silent
    GENERATION = "generation"  # it failed without saying why


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
    """What the provider says about one task: record-info's answer in our terms.

    A SUCCEEDED report may have no URLs; that is no failure, the caller asks again.
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
    error_message: str = ""  # the provider's message, bounded; for operators, and quoted to users
    prompt: str | None = None  # as echoed in paramJson, if at all: proves that the task is ours
    created_at: datetime | None = None  # aware UTC; None when absent or of unknown zone
    completed_at: datetime | None = None
    provider_credits: Decimal | None = None  # what it cost, when the provider says so
    fallback: bool = False
    oddities: Sequence[str] = field(default=())  # short words for whatever was not in the usual shape


@dataclass(frozen=True, kw_only=True)
class CallbackHint:
    """What a callback's body claims. Nothing in it is trusted; `provider_task_id` says which task to poll."""

    provider_task_id: str  # "" when the body names none
    claims: ReportState
    well_formed: bool
    problem: str = ""  # why the body is malformed, in a few words


@dataclass(frozen=True, kw_only=True)
class UpscaleReport:
    """The answer to a 1080p or 4K request: `url` once it is ready, else `ready` is False and the caller asks again.

    Paid once per task and index: asking again costs nothing more.
    """

    ready: bool
    url: str = ""
    provider_task_id: str = ""  # 4K: may be polled like any task
    provider_credits: Decimal | None = None
    message: str = ""  # the provider's message, bounded
    oddities: Sequence[str] = field(default=())


class Provider(Protocol):
    """One provider with one key. No method retries, so that a paid call is sent at most once."""

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
        """Upload an image to where the provider can fetch it; return its URL. Raises NoAnswer, AccessDenied."""
        ...
