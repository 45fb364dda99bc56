"""What the page of one provider account explains: why new videos go out or wait, and what happens next by itself."""

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
class Why:
    """Why no new video goes out (tone bad or warn), in a title and what to do; empty when all is well."""

    tone: str
    title: str
    text: str


def explained(account: ProviderAccount, *, is_current: bool) -> dict[str, Any]:
    """The page's explanations. `is_current`: new videos go to it, unless something holds them up."""
    at = clock.database_now()
    found = whys(account, at, is_current=is_current)
    return {
        "whys": found,
        "breaker_words": breaker_words(account, at, is_current=is_current, is_held_up=bool(found)),
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


def whys(account: ProviderAccount, at: datetime, *, is_current: bool) -> list[Why]:
    """Everything that holds new videos up, what a person must do first."""
    found = []
    if account.is_paused_at(at):
        found.append(_paused(account))
    if account.parked_as == ProviderAccount.Parked.ACCESS_DENIED:
        text = (
            _(
                "The provider refuses our key or address. Mend the key here or in the environment, then test the "
                "connection; the first healthy balance lets everything go on."
            )
            if is_current
            else _(
                "No new video goes here. Compare the key and the address with the provider's page of API keys: if they "
                "are wrong, add the right ones; else test the connection again."
            )
        )
        found.append(Why("bad", _("Key or address refused since %(time)s") % _time(account.parked_at), text))
    elif account.parked_as:
        text = _(
            "The provider says that our account cannot pay. Top it up there; the balance is read every few seconds "
            "while videos wait, and they go on by themselves half a minute later at the most. Nothing is lost."
        )
        found.append(Why("bad", _("Out of provider credits since %(time)s") % _time(account.parked_at), text))
    elif provider_accounts.is_critical(account):
        text = _(
            "The balance is at or below %(threshold)s, where we stop by ourselves. Top it up at the provider: waiting "
            "videos go on by themselves."
        ) % {"threshold": format_amount(settings.CRITICAL_BALANCE_THRESHOLD)}
        found.append(Why("bad", _("Critical balance"), text))
    is_broke = account.parked_as == ProviderAccount.Parked.OUT_OF_CREDITS or provider_accounts.is_critical(account)
    if is_broke and account.source == ProviderAccount.Source.SANDBOX:
        command = f"""curl -d '{{"balance": "5000"}}' {account.base_url}/_sandbox/balance"""
        text = _("Its controls fill it: %(command)s") % {"command": command}
        found.append(Why("info", _("This is the sandbox"), text))
    if account.breaker != State.CLOSED:
        found.append(Why("warn", _("Waiting for the provider"), breaker_words(account, at)))
    return found


def breaker_words(account: ProviderAccount, at: datetime, *, is_current: bool = True, is_held_up: bool = False) -> str:
    """The breaker's state and its next step, in a sentence or two. `is_held_up`: something else stops new videos."""
    if account.breaker == State.CLOSED:
        failed = circuit_breaker.count_failures(account, at)
        if circuit_breaker.is_unreachable(account):
            return _("The provider did not tell our balance when it was asked last.")
        if account.balance_at is None and not is_held_up:
            return _("Not tested yet: no call was answered so far.")
        if is_held_up:
            return _("It stops nothing just now; what does is said above.")
        if not is_current:
            return _("The provider answers. New videos do not go here.")
        if not failed:
            return _("The provider answers; orders go out.")
        return ngettext(
            "Orders go out, but %(n)d of the last ones failed.",
            "Orders go out, but %(n)d of the last ones failed.",
            failed,
        ) % {"n": failed}
    if account.breaker == State.HALF_OPEN:
        return _(
            "One video is on its way as a probe since %(time)s. If the provider takes it, all others follow; "
            "if not, we rest for longer."
        ) % _time(account.breaker_at)
    if account.breaker_until is not None and account.breaker_until > at:
        return _(
            "Too much went wrong there, so nothing is sent until %(time)s. Then we ask for the balance, which is free; "
            "if that is answered, one waiting video goes as a probe, and all others after it."
        ) % _time(account.breaker_until)
    return _(
        "The rest is over: the next waiting video goes as a probe, once the balance was told. All others go after it."
    )


def _paused(account: ProviderAccount) -> Why:
    person = account.paused_by.email if account.paused_by else _("the watch over spending")
    title = _("Paused by %(person)s since %(time)s") % {"person": person, **_time(account.paused_at)}
    sentences = [
        _("%(name)s: “%(words)s”")
        % {
            "name": get_language_info(code)["name_translated"],
            "words": provider_accounts.format_pause_reason(account, code),
        }
        for code, _name in settings.LANGUAGES
    ]
    parts = [_("People read: %(sentences)s.") % {"sentences": " · ".join(sentences)}]
    if account.pause_code != ProviderAccount.Pause.OWN_WORDS and account.pause_reason:
        parts.append(_("Noted: %(note)s.") % {"note": provider_accounts.format_pause_note(account)})
    parts.append(
        _("It ends by itself at %(time)s.") % _time(account.paused_until)
        if account.paused_until
        else _("It lasts until somebody resumes it.")
    )
    return Why("warn", title, join_sentences(parts))


def _time(at: datetime | None) -> dict[str, str]:
    return {"time": format_moment(at) if at else "–"}
