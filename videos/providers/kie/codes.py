"""What each status and code of kie.ai means, in one table.

Business errors arrive as HTTP 200 with a `code`, as an HTTP status, or as both, and the two may disagree
(protocol notes, sections 1 and 6). `meaning_of` looks at both and picks one code; the table turns it into our error.
"""

import re
from enum import Enum
from typing import NamedTuple

from videos.providers import errors
from videos.providers.base import RefusalReason
from videos.providers.kie.refusal_reasons import reason_for
from videos.providers.kie.replies import Envelope

AMBIGUOUS = 0  # no code that can be trusted: HTML, no answer in words, a contradiction


class Call(Enum):
    """Which column of the table holds. The first two are paid."""

    GENERATE = "generate"  # starts from nothing but our own words
    DERIVE = "derive"  # extend, 1080p, 4K: starts from a task that the provider must know
    RECORD = "record"  # record-info
    FREE = "free"  # credit, download-url, uploads

    @property
    def is_paid(self) -> bool:
        return self in (Call.GENERATE, Call.DERIVE)


class Meaning(NamedTuple):
    """The error for each kind of call."""

    generate: type[errors.ProviderError]
    derive: type[errors.ProviderError]
    record: type[errors.ProviderError]
    free: type[errors.ProviderError]


_REFUSED = Meaning(errors.Refused, errors.Refused, errors.NoAnswer, errors.NoAnswer)
_DENIED = Meaning(errors.AccessDenied, errors.AccessDenied, errors.AccessDenied, errors.AccessDenied)
_BROKE = Meaning(errors.OutOfCredits, errors.OutOfCredits, errors.OutOfCredits, errors.OutOfCredits)
_CLOSED = Meaning(errors.Unavailable, errors.Unavailable, errors.NoAnswer, errors.NoAnswer)
_UNKNOWN = Meaning(errors.Unconfirmed, errors.Unconfirmed, errors.NoAnswer, errors.NoAnswer)

MEANINGS: dict[int, Meaning] = {
    400: _REFUSED,  # content policy, image not fetchable, not English
    401: _DENIED,  # bad or missing key
    402: _BROKE,  # refused before charging
    403: _DENIED,  # the network shield: "error code: 1010"
    404: Meaning(errors.AccessDenied, errors.Refused, errors.NotVisible, errors.NoAnswer),
    408: _UNKNOWN,  # upstream silent for ten minutes: something had begun, and perhaps was charged
    422: Meaning(errors.Refused, errors.Refused, errors.NotVisible, errors.NoAnswer),
    429: Meaning(errors.RateLimited, errors.RateLimited, errors.NoAnswer, errors.NoAnswer),
    433: _BROKE,  # the key's own spending limit
    451: _REFUSED,  # an image could not be fetched
    455: _CLOSED,  # maintenance
    500: _UNKNOWN,  # perhaps created, perhaps charged
    501: _UNKNOWN,
    505: _CLOSED,  # the feature is switched off
}

_NO_CREDITS = re.compile(r"credits? insufficient|insufficient credits?|balance isn.t enough", re.IGNORECASE)


def meaning_of(envelope: Envelope) -> int:
    """The one code that an answer comes to: 200 accepted, a key of MEANINGS, a 3xx, any other code, or AMBIGUOUS."""
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
        # A broken server's word on what it did is not believed, except where status and code say the same.
        return status if status == code and status in MEANINGS else 500
    if status >= 400:
        if code == 200 or (code is None and MEANINGS.get(status, _UNKNOWN).generate is errors.Refused):
            return AMBIGUOUS  # a contradiction; or a bare 400 from something in between, no verdict on the user's words
        return code if code in MEANINGS else status
    return AMBIGUOUS


def error_for(envelope: Envelope, *, call: Call) -> errors.ProviderError:
    """The error that an answer other than 200 is, for this kind of call."""
    code = meaning_of(envelope)
    detail = envelope.describe()
    status, provider_code = envelope.status, envelope.code
    if code == status and 300 <= status < 400:
        kind: type[errors.ProviderError] = errors.NotSent if call.is_paid else errors.NoAnswer
    else:
        meaning = MEANINGS.get(code, _UNKNOWN)
        kind = getattr(meaning, call.value)
        if code == 404 and provider_code is None and call is not Call.RECORD:
            kind = errors.AccessDenied  # not the provider speaking of a task: our address is wrong
    if kind is errors.Refused:
        reason = reason_for(code, envelope.message, otherwise=RefusalReason.INVALID)
        return errors.Refused(detail, reason=reason, status=status, provider_code=provider_code)
    return kind(detail, status=status, provider_code=provider_code)
