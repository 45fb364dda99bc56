"""Maps each HTTP status and code of kie.ai to one of our errors, in one table.

Errors arrive as HTTP 200 with a `code`, as an HTTP status, or as both, and the two may disagree. `effective_code` picks
one code from both; the table turns it into our error.
"""

import re
from enum import Enum
from typing import NamedTuple

from videos.providers import errors
from videos.providers.base import RefusalReason
from videos.providers.kie.refusal_reasons import find_reason
from videos.providers.kie.replies import Envelope

AMBIGUOUS = 0  # no usable code: HTML, no JSON, or contradictory codes


class Call(Enum):
    """The kinds of call, which are the columns of the table MEANINGS. GENERATE and DERIVE are paid."""

    GENERATE = "generate"  # creates a task that needs no earlier one
    DERIVE = "derive"  # extend, 1080p, 4K: based on an earlier task
    RECORD = "record"  # record-info
    FREE = "free"  # credit, download-url, uploads

    @property
    def is_paid(self) -> bool:
        return self in (Call.GENERATE, Call.DERIVE)


class Meaning(NamedTuple):
    """What one code means: the error class for each kind of call."""

    generate: type[errors.ProviderError]
    derive: type[errors.ProviderError]
    record: type[errors.ProviderError]
    free: type[errors.ProviderError]


_REFUSED = Meaning(errors.Refused, errors.Refused, errors.NoAnswer, errors.NoAnswer)
_DENIED = Meaning(errors.AccessDenied, errors.AccessDenied, errors.AccessDenied, errors.AccessDenied)
_OUT_OF_CREDITS = Meaning(errors.OutOfCredits, errors.OutOfCredits, errors.OutOfCredits, errors.OutOfCredits)
_UNAVAILABLE = Meaning(errors.Unavailable, errors.Unavailable, errors.NoAnswer, errors.NoAnswer)
_UNKNOWN = Meaning(errors.Unconfirmed, errors.Unconfirmed, errors.NoAnswer, errors.NoAnswer)

MEANINGS: dict[int, Meaning] = {
    400: _REFUSED,  # content policy, image not fetchable, not English
    401: _DENIED,  # bad or missing key
    402: _OUT_OF_CREDITS,  # refused before charging
    403: _DENIED,  # Cloudflare: "error code: 1010"
    404: Meaning(errors.AccessDenied, errors.Refused, errors.NotVisible, errors.NoAnswer),
    408: _UNKNOWN,  # the video model timed out after ten minutes: started, perhaps charged
    422: Meaning(errors.Refused, errors.Refused, errors.NotVisible, errors.NoAnswer),
    429: Meaning(errors.RateLimited, errors.RateLimited, errors.NoAnswer, errors.NoAnswer),
    433: _OUT_OF_CREDITS,  # the key's own spending limit
    451: _REFUSED,  # an image could not be fetched
    455: _UNAVAILABLE,  # maintenance
    500: _UNKNOWN,  # perhaps created, perhaps charged
    501: _UNKNOWN,
    505: _UNAVAILABLE,  # the feature is switched off
}

_NO_CREDITS = re.compile(r"credits? insufficient|insufficient credits?|balance isn.t enough", re.IGNORECASE)


def effective_code(envelope: Envelope) -> int:
    """The one code that counts for a response: 200 (accepted), a key of MEANINGS, 3xx, any other code, or AMBIGUOUS."""
    status, code = envelope.status, envelope.code
    if {402, 433} & {status, code} or (500 in (status // 100 * 100, code) and _NO_CREDITS.search(envelope.message)):
        return 402
    if 429 in (status, code):
        return 429
    if 200 <= status < 300:
        return AMBIGUOUS if code is None else code
    if 300 <= status < 400:
        return status
    if status >= 500:
        # The body of a failing server is not trusted, unless status and code agree.
        return status if status == code and status in MEANINGS else 500
    if status >= 400:
        if code == 200 or (code is None and MEANINGS.get(status, _UNKNOWN).generate is errors.Refused):
            return AMBIGUOUS  # contradictory, or a 400 without a code from a proxy, which does not refuse the prompt
        return code if code in MEANINGS else status
    return AMBIGUOUS


def make_error(envelope: Envelope, *, call: Call) -> errors.ProviderError:
    """The error that a response other than 200 means for this kind of call."""
    code = effective_code(envelope)
    detail = envelope.describe()
    status, provider_code = envelope.status, envelope.code
    if code == status and 300 <= status < 400:
        error_class: type[errors.ProviderError] = errors.NotSent if call.is_paid else errors.NoAnswer
    else:
        meaning = MEANINGS.get(code, _UNKNOWN)
        error_class = getattr(meaning, call.value)
        if code == 404 and provider_code is None and call is not Call.RECORD:
            error_class = errors.AccessDenied  # a 404 without a code is not about a task: our base URL is wrong
    if error_class is errors.Refused:
        reason = find_reason(code, envelope.message, otherwise=RefusalReason.INVALID)
        return errors.Refused(detail, reason=reason, status=status, provider_code=provider_code)
    return error_class(detail, status=status, provider_code=provider_code)
