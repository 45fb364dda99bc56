"""The errors of a provider call, as one small tree.

    ProviderError                   .transient  .code  .detail (for operators; never a key)
    |- NotSent         transient    never sent: DNS, refused, connect timeout, TLS; or a redirect: nothing was begun
    |  |- RateLimited               429: nothing was created; wait at least one full window
    |  |- Unavailable               455, 505: maintenance or switched off; minutes
    |  |- OutOfCredits              402, 433, or 500 that speaks of credits: pause and tell the operator
    |  `- AccessDenied              401, 403 "error code: 1010", 404 that speaks of no task: key or address wrong;
    |                               pause and tell the operator
    |- Refused         permanent    400, 422, 451 on generate: the user's prompt or image; says which
    |- Unconfirmed     -            sent, answer lost or unusable: perhaps created and charged; never re-sent
    `- NoAnswer        transient    a free call failed (record-info, download-url, credit, upload): ask later
       `- NotVisible                record-info knows no such task (yet)

A caller of a *paid* call sees NotSent (and its children), Refused or Unconfirmed, nothing else.
A caller of a *free* call sees NoAnswer (and its child), OutOfCredits or AccessDenied, nothing else.
`code` is a stable word for tables and translation, e.g. "rate_limited".
"""

from typing import ClassVar


class ProviderError(Exception):
    """The root. `detail` is bounded, printable and scrubbed of secrets."""

    transient: ClassVar[bool] = False
    code: ClassVar[str] = "provider_error"

    def __init__(self, detail: str = "", *, status: int | None = None, provider_code: int | str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.provider_code = provider_code


class NotSent(ProviderError):
    """The request never left, or the answer says that nothing was begun: safe to send again later."""

    transient = True
    code = "not_sent"


class RateLimited(NotSent):
    """429: rejected, not queued."""

    code = "rate_limited"


class Unavailable(NotSent):
    """455 maintenance or 505 feature switched off."""

    code = "unavailable"


class OutOfCredits(NotSent):
    """402, 433 or a 500 that speaks of credits: our account at the provider cannot pay."""

    code = "out_of_credits"


class AccessDenied(NotSent):
    """401, 404 or the network shield's 403: our key or address is wrong, not the user's request."""

    code = "access_denied"


class Refused(ProviderError):
    """The provider will not do this request, whoever asks. `reason` is one of `base.RefusalReason`."""

    code = "refused"

    def __init__(
        self, detail: str = "", *, reason: str, status: int | None = None, provider_code: int | str | None = None
    ) -> None:
        super().__init__(detail, status=status, provider_code=provider_code)
        self.reason = reason


class Unconfirmed(ProviderError):
    """Sent, but it is unknown whether a task was created."""

    code = "unconfirmed"


class NoAnswer(ProviderError):
    """A free call returned nothing usable; the task is unchanged."""

    transient = True
    code = "no_answer"


class NotVisible(NoAnswer):
    """record-info does not know the task: too early, or too late (14 days), or another account's."""

    code = "not_visible"
