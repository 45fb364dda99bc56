"""The interface of a video provider: a few dataclasses and one Protocol. It does not depend on Django or on our tables."""

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
    """Why a provider refused or failed to make a video; pages show a sentence and a next step for each reason."""

    CONTENT_POLICY = "content_policy"  # the prompt was flagged
    UNSAFE_IMAGE = "unsafe_image"  # an image was flagged
    PROMINENT_PERSON = "prominent_person"  # a real person's name or face
    LANGUAGE = "language"  # English prompts only
    IMAGE_UNREACHABLE = "image_unreachable"  # the provider could not fetch one of our images
    AUDIO = "audio"  # the model could not make the sound
    INVALID = "invalid"  # a field is wrong
    TIMED_OUT = "timed_out"  # the provider got no response from the video model
    GENERATION = "generation"  # the provider gave no reason


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
    """The state of a task according to the provider."""

    GENERATING = "generating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNCLEAR = "unclear"  # the response does not show the state; never treated as final


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the provider reports about one task: the response of its record-info endpoint in our terms.

    A SUCCEEDED report may have no URLs. That is not a failure: the caller asks again later.
    """

    provider_task_id: str
    state: ReportState
    result_urls: Sequence[str] = ()
    full_result_urls: Sequence[str] = ()  # after an extension: the joined video
    resolution: str = ""
    has_audio: bool | None = None
    seeds: Sequence[int] = ()
    reason: RefusalReason | None = None  # set when FAILED
    error_code: str = ""  # the provider's code, as text
    error_message: str = ""  # the provider's message, of limited length; for operators, and quoted to users
    prompt: str | None = None  # the prompt echoed in paramJson, if any; proves that the task is ours
    created_at: datetime | None = None  # in UTC; None if the provider states none, or one without a time zone
    completed_at: datetime | None = None
    provider_credits: Decimal | None = None  # what the task cost, if the provider states it
    fallback: bool = False
    oddities: Sequence[str] = field(default=())  # labels of everything that was not in the usual format


@dataclass(frozen=True, kw_only=True)
class CallbackHint:
    """What the body of a callback claims. Nothing in it is trusted; it only says which task to poll."""

    provider_task_id: str  # "" when the body names none
    claims: ReportState  # the state that the body claims
    well_formed: bool
    problem: str = ""  # why the body is malformed, in a few words


@dataclass(frozen=True, kw_only=True)
class UpscaleReport:
    """The response to a request for a 1080p or 4K version. If `ready` is False, the caller asks again later.

    The provider charges once for each video, which task id and index identify; asking again is free.
    """

    ready: bool
    url: str = ""
    provider_task_id: str = ""  # 4K: may be polled like any task
    provider_credits: Decimal | None = None
    message: str = ""  # the provider's message, of limited length
    oddities: Sequence[str] = field(default=())


class Provider(Protocol):
    """A client of one provider with one API key. No method retries, so a paid call is sent at most once."""

    name: str

    def submit(self, request: VideoRequest) -> str:
        """Send one paid request; return the provider's task id. Raises NotSent, Refused, Unconfirmed."""
        ...

    def report(self, provider_task_id: str) -> Report:
        """Return the current state of a task. Raises NoAnswer, NotVisible, AccessDenied."""
        ...

    def balance(self) -> Decimal:
        """Return the provider credits left. Raises NoAnswer, OutOfCredits, AccessDenied."""
        ...

    def fresh_url(self, url: str) -> str:
        """Return a new short-lived link to a result. Raises NoAnswer, AccessDenied."""
        ...

    def upload(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """Upload an image to where the provider can fetch it; return its URL. Raises NoAnswer, AccessDenied."""
        ...
