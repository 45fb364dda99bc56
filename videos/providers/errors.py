"""The errors of a provider call, as one small tree. "Transient" errors may pass if the call is repeated later.

    ProviderError                   .transient  .code  .detail (for operators; never a key)
    |- NotSent         transient    no task was created: DNS, refused, connect timeout or TLS failure, or a redirect
    |  |- RateLimited               429: wait at least one full rate-limit period
    |  |- Unavailable               455, 505: maintenance or feature switched off; try again in a few minutes
    |  |- OutOfCredits              402, 433, or 500 with a message about credits: pause and alert the operator
    |  `- AccessDenied              401, 403 "error code: 1010", 404 that is not about a task: wrong key or address;
    |                               pause and alert the operator
    |- Refused         permanent    400, 422, 451 on generate: the user's prompt or image; `reason` says which
    |- Unconfirmed     -            sent, but the response was lost or unusable: perhaps created and charged; never re-sent
    `- NoAnswer        transient    a free call failed (record-info, download-url, credit, upload): ask again later
       `- NotVisible                record-info knows no such task (yet)

A caller of a *paid* call sees NotSent (and its children), Refused or Unconfirmed, nothing else.
A caller of a *free* call sees NoAnswer (and its child), OutOfCredits or AccessDenied, nothing else.
`code` is a stable key for tables and translations, e.g. "rate_limited".
"""

from typing import ClassVar


class ProviderError(Exception):
    """The base class. `detail` has limited length, is printable and contains no secrets."""

    transient: ClassVar[bool] = False
    code: ClassVar[str] = "provider_error"

    def __init__(self, detail: str = "", *, status: int | None = None, provider_code: int | str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.provider_code = provider_code


class NotSent(ProviderError):
    """The request was not sent, or the response says that no task was created: safe to send again later."""

    transient = True
    code = "not_sent"


class RateLimited(NotSent):
    """429: we sent too many requests; this one was rejected and not queued."""

    code = "rate_limited"


class Unavailable(NotSent):
    """455 or 505: the provider is under maintenance, or the feature is switched off."""

    code = "unavailable"


class OutOfCredits(NotSent):
    """402, 433 or a 500 with a message about credits: our account at the provider cannot pay."""

    code = "out_of_credits"


class AccessDenied(NotSent):
    """401, 404 or the network shield's 403: our key or base URL is wrong; the user's request is not the cause."""

    code = "access_denied"


class Refused(ProviderError):
    """The provider refuses this request, also when it is sent again. `reason` is one of `base.RefusalReason`."""

    code = "refused"

    def __init__(
        self, detail: str = "", *, reason: str, status: int | None = None, provider_code: int | str | None = None
    ) -> None:
        super().__init__(detail, status=status, provider_code=provider_code)
        self.reason = reason


class Unconfirmed(ProviderError):
    """The request was sent, but it is unknown whether a task was created."""

    code = "unconfirmed"


class NoAnswer(ProviderError):
    """A free call returned nothing usable; the task is unchanged."""

    transient = True
    code = "no_answer"


class NotVisible(NoAnswer):
    """record-info does not know the task: it is too new, older than 14 days, or belongs to another account."""

    code = "not_visible"
