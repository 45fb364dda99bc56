"""Maps kie.ai's many refusal messages to one `RefusalReason`."""

import re

from videos.providers.base import RefusalReason

_REASONS: tuple[tuple[str, RefusalReason], ...] = (
    # A message may match several patterns; the most specific ones come first.
    (r"prominent (people|person)|real person|celebrit", RefusalReason.PROMINENT_PERSON),
    (r"unsafe image|minor upload|image.{0,40}(violat|unsafe|flagged)", RefusalReason.UNSAFE_IMAGE),
    (r"only english|english prompts? only", RefusalReason.LANGUAGE),
    (r"(fetch|retrieve|download|access) (the |your |an )?image", RefusalReason.IMAGE_UNREACHABLE),
    (r"\baudio\b", RefusalReason.AUDIO),
    (r"time(d)?[ -]?out", RefusalReason.TIMED_OUT),
    (r"content polic|flagged|violat|rejected by flow|sensitive|moderation|safety", RefusalReason.CONTENT_POLICY),
)


def find_reason(code: int | None, message: str, *, otherwise: RefusalReason) -> RefusalReason:
    """The reason that the message shows; if it shows none, the one of the code; without either, `otherwise`."""
    for pattern, reason in _REASONS:
        if re.search(pattern, message, re.IGNORECASE):
            return reason
    if code == 451:
        return RefusalReason.IMAGE_UNREACHABLE
    return RefusalReason.TIMED_OUT if code == 408 else otherwise
