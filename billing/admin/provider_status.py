"""Explains on the page of a provider account why new videos are sent or wait, and what happens next.

`parked_as` tells why the provider refuses us, if it does. The *breaker* stops new videos for a while after repeated
failures (see `billing.guard.circuit_breaker`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import get_language_info, ngettext
from django.utils.translation import gettext as _

from accounts.seams import clock
from billing.common.formatting import format_amount, format_moment, join_sentences
from billing.guard import circuit_breaker
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts

OUTCOMES_SHOWN = 20
State = ProviderAccount.Breaker


@dataclass(frozen=True)
class Blocker:
    """A reason why no new video is sent, with a tone (bad, warn or info), a title and what to do."""

    tone: str
    title: str
    text: str


def status_context(account: ProviderAccount, *, is_current: bool) -> dict[str, Any]:
    """The part of the template context that explains the state. `is_current` means that new videos use the account."""
    at = clock.database_now()
    blockers = list_blockers(account, at, is_current=is_current)
    return {
        "blockers": blockers,
        "breaker_text": breaker_text(account, at, is_current=is_current, is_blocked=bool(blockers)),
        "breaker_limit": ngettext(
            "%(failures)d failure among the last %(of)d orders within %(minutes)d minutes stops new ones.",
            "%(failures)d failures among the last %(of)d orders within %(minutes)d minutes stop new ones.",
            settings.BREAKER_FAILURES,
        )
        % {
            "failures": settings.BREAKER_FAILURES,
            "of": settings.BREAKER_OF,
            "minutes": max(1, settings.BREAKER_WINDOW_S // 60),
        },
        "outcomes": list(account.outcomes.order_by("-at", "-pk")[:OUTCOMES_SHOWN]),
    }


def list_blockers(account: ProviderAccount, at: datetime, *, is_current: bool) -> list[Blocker]:
    """All reasons why new videos wait; those that need an operator come first."""
    blockers = []
    if account.is_paused_at(at):
        blockers.append(_pause_blocker(account))
    if account.parked_as == ProviderAccount.Parked.ACCESS_DENIED:
        text = (
            _(
                "The provider refuses our key or address. Correct the key here or in the environment, then test "
                "the connection. Waiting videos continue as soon as the balance can be read."
            )
            if is_current
            else _(
                "This account is not used for new videos. Compare the key and the address with the API keys page "
                "of the provider: if they are wrong, add the right ones; otherwise test the connection again."
            )
        )
        blockers.append(
            Blocker("bad", _("Key or address refused since %(time)s") % _time_fact(account.parked_at), text)
        )
    elif account.parked_as:
        text = _(
            "The provider reports that our account is out of credits. Top it up there. The balance is read every "
            "few seconds while videos wait; they continue automatically within half a minute. Nothing is lost."
        )
        blockers.append(
            Blocker("bad", _("Out of provider credits since %(time)s") % _time_fact(account.parked_at), text)
        )
    elif provider_accounts.is_critical(account):
        text = _(
            "The balance is at or below the critical threshold of %(threshold)s. Top it up at the provider; "
            "waiting videos continue automatically."
        ) % {"threshold": format_amount(settings.CRITICAL_BALANCE_THRESHOLD)}
        blockers.append(Blocker("bad", _("Critical balance"), text))
    has_too_few_credits = account.parked_as == ProviderAccount.Parked.OUT_OF_CREDITS or provider_accounts.is_critical(
        account
    )
    if has_too_few_credits and account.source == ProviderAccount.Source.SANDBOX:
        command = f"""curl -d '{{"balance": "5000"}}' {account.base_url}/_sandbox/balance"""
        text = _("Fill it with: %(command)s") % {"command": command}
        blockers.append(Blocker("info", _("This is the sandbox"), text))
    if account.breaker != State.CLOSED:
        blockers.append(Blocker("warn", _("Waiting for the provider"), breaker_text(account, at)))
    return blockers


def breaker_text(account: ProviderAccount, at: datetime, *, is_current: bool = True, is_blocked: bool = False) -> str:
    """The breaker's state and next step as text. `is_blocked` means that something else stops new videos."""
    if account.breaker == State.CLOSED:
        failures = circuit_breaker.count_failures(account, at)
        if circuit_breaker.is_unreachable(account):
            return _("The last attempt to read the balance failed.")
        if account.balance_at is None and not is_blocked:
            return _("Not tested yet: no call has been answered.")
        if is_blocked:
            return _("The breaker is not stopping new videos; the reasons are shown above.")
        if not is_current:
            return _("The provider answers. This account is not used for new videos.")
        if not failures:
            return _("The provider answers; orders are sent.")
        return ngettext(
            "Orders are sent, but %(n)d of the last ones failed.",
            "Orders are sent, but %(n)d of the last ones failed.",
            failures,
        ) % {"n": failures}
    if account.breaker == State.HALF_OPEN:
        return _(
            "One video was sent as a probe at %(time)s. If the provider accepts it, all others follow; if not, "
            "the pause gets longer."
        ) % _time_fact(account.breaker_at)
    if account.breaker_until is not None and account.breaker_until > at:
        return _(
            "Too many calls failed, so nothing is sent until %(time)s. Then the balance is read, which is free. "
            "If that succeeds, one waiting video is sent as a probe, and all others after it."
        ) % _time_fact(account.breaker_until)
    return _(
        "The pause is over: once the balance has been read, the next waiting video is sent as a probe, and all others after it."
    )


def _pause_blocker(account: ProviderAccount) -> Blocker:
    paused_by = account.paused_by.email if account.paused_by else _("the spending monitor")
    title = _("Paused by %(person)s since %(time)s") % {"person": paused_by, **_time_fact(account.paused_at)}
    sentences = [
        _("%(name)s: “%(words)s”")
        % {
            "name": get_language_info(code)["name_translated"],
            "words": provider_accounts.format_pause_reason(account, code),
        }
        for code, _name in settings.LANGUAGES
    ]
    parts = [_("Shown to users: %(sentences)s.") % {"sentences": " · ".join(sentences)}]
    if account.pause_code != ProviderAccount.Pause.OWN_WORDS and account.pause_reason:
        parts.append(_("Note: %(note)s.") % {"note": provider_accounts.format_pause_note(account)})
    parts.append(
        _("It ends automatically at %(time)s.") % _time_fact(account.paused_until)
        if account.paused_until
        else _("It lasts until an operator resumes it.")
    )
    return Blocker("warn", title, join_sentences(parts))


def _time_fact(at: datetime | None) -> dict[str, str]:
    return {"time": format_moment(at) if at else "–"}
