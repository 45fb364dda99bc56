"""What an alert says of its own case: sentences of ours with its figures and moments, as their reader writes them.

Whoever raises an alert gives facts, plain JSON, and this makes sentences of them in any language and time zone. `say`
names the sentences where a kind has several, and `words` are somebody else's (the provider's, an error's), which follow
as they are. Amounts are strings (`formatting.plain`), moments are ISO 8601 under names that end in `_at`, shares of
one are under names that end in `_share`, and `scope` is whose a budget is.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.common import formatting, item_names
from billing.common.formatting import format_amount, format_percent, join_sentences
from billing.models import Alert, Budget

Facts = Mapping[str, Any]

# By what `say` names; a kind with one sentence has it under its own name.
SENTENCES: dict[str, Promise] = {
    "low_balance": gettext_lazy("%(balance)s provider credits are left; the threshold that warns is %(threshold)s."),
    "critical_balance": gettext_lazy("%(balance)s provider credits are left; new videos stop at %(threshold)s."),
    "no_key": gettext_lazy("There is no provider key: set KIE_AI_API_KEY, or add a provider account."),
    "key_gone": gettext_lazy("The key of %(account)s is gone: it was never sealed."),
    "key_unusable": gettext_lazy("The key of %(account)s cannot be used."),
    # Budgets, almost or wholly spent.
    "budget_hour": gettext_lazy(
        "%(scope)s: %(used)s of the hour's %(limit)s provider credits are used. The next hour begins at %(next_at)s."
    ),
    "budget_day": gettext_lazy(
        "%(scope)s: %(used)s of the day's %(limit)s provider credits are used. The next day begins on %(next_at)s."
    ),
    "budget_month": gettext_lazy(
        "%(scope)s: %(used)s of the month's %(limit)s provider credits are used. The next month begins on %(next_at)s."
    ),
    # The watch over spending: what it saw, then how its stop ends.
    "usual_hour": gettext_lazy(
        "%(ordered)s provider credits were ordered this hour, where %(usual)s are usual; the watch stops at %(bar)s."
    ),
    "young_hour": gettext_lazy(
        "%(ordered)s provider credits were ordered this hour. What is usual is not known yet, so the watch stops at %(bar)s."
    ),
    "failures": gettext_lazy(
        "%(failed)s of the last %(jobs)s videos failed at the provider (%(reasons)s); "
        "the watch stops above %(bar_share)s."
    ),
    "burst": gettext_lazy(
        "%(orders)s videos were ordered in ten minutes by one user, whose usual is %(usual)s; "
        "the watch holds a user above %(bar)s. Everybody else goes on."
    ),
    "heals": gettext_lazy("It ends by itself at %(until_at)s."),
    "waits": gettext_lazy("It waits for a person."),
    # What the books and the provider's balance tell.
    "unexplained_spend": gettext_lazy("%(gone)s provider credits are gone that no video explains."),
    "unexplained_worst": gettext_lazy(
        "%(gone)s provider credits are gone that no video explains, most of them between %(since_at)s and %(until_at)s."
    ),
    "price_reported": gettext_lazy("Our list says %(listed)s provider credits; finished videos cost %(seen)s."),
    "price_feed": gettext_lazy("Our list says %(listed)s provider credits; the provider's price feed says %(seen)s."),
    "negative_margin": gettext_lazy(
        "Its user pays %(user_credits)s credits and we pay %(provider_credits)s provider credits: "
        "a loss of %(loss)s US$ with each video."
    ),
    "books": gettext_lazy("Problems found: %(problems)s."),
    "books_late": gettext_lazy("The last look came to its end at %(looked_at)s."),
    "books_never": gettext_lazy("No look has ever come to its end."),
    # The machine.
    "summary_unsent": gettext_lazy(
        "The mail about %(day)s did not arrive, however often it was tried: %(attempts)s times."
    ),
    "worker_ended": gettext_lazy("Its processes had ended."),
    "worker_silent": gettext_lazy("No job was done for %(silent_s)s seconds."),
    "no_room": gettext_lazy("Less than the reserve of %(reserve_mb)s MB is free on the disk."),
    "unreadable": gettext_lazy("A stored file cannot be opened."),
    # The provider's calls: how many are missing, then what may be the reason.
    "callbacks_dry": gettext_lazy("%(polled)s of the last %(verdicts)s verdicts were found by asking, not by a call."),
    "callbacks_private": gettext_lazy(
        "The provider is told to call %(address)s, which cannot be reached from the internet. If you have an address "
        "that can, set APP_URL or CALLBACK_BASE_URL to it; if not, mark this as seen."
    ),
    "callbacks_never": gettext_lazy(
        "No call has ever come to %(address)s. Look whether it can be reached from the internet; if it is not meant to "
        "be, mark this as seen."
    ),
    "callbacks_ended": gettext_lazy("The last call came to %(address)s at %(called_at)s."),
    # Videos.
    "many": gettext_lazy("More videos of which the same is true: %(videos)s. The page of each says it."),
    "download_failed": gettext_lazy("Attempt %(attempts)s failed."),
    "download_died": gettext_lazy("Workers die over it; attempt %(attempts)s has begun."),
    "download_lost": gettext_lazy("It was given up at attempt %(attempts)s."),
    "odd_no_file": gettext_lazy("It says that the video is ready, and names no file."),
    "odd_verdict": gettext_lazy("Its verdict is unknown to us."),
    "odd_callback": gettext_lazy("A callback for this video was not believed."),
    "given_up_deadline": gettext_lazy("There was no verdict within %(hours)s hours."),
    "given_up_unconfirmed": gettext_lazy("There was no callback within an hour."),
    "given_up_no_file": gettext_lazy("No file of it could be fetched."),
    "given_up_by_hand": gettext_lazy("An operator gave it up."),
}


class AlertMessage(NamedTuple):
    """Sentences of ours, and somebody else's words as they were noted; either may be empty."""

    sentences: str
    words: str

    def __str__(self) -> str:
        return "\n".join(filter(None, self))


def format_message(alert: Alert) -> AlertMessage:
    """In the active language, with moments in the active time zone. Of an alert without facts, or with odd ones, its detail."""
    return _told(alert.kind, alert.facts, formatting.format_moment) or AlertMessage("", alert.detail)


def format_detail(alert: Alert) -> str:
    """The same as one text, for a line in a list."""
    return str(format_message(alert))


def format_english(kind: Alert.Kind, facts: Facts) -> str:
    """The same for machines and logs: English, moments in UTC; "" for facts that fit no sentence."""
    with translation.override("en"):
        return str(_told(kind, facts, _in_utc) or "")


def format_in_each_language(kind: Alert.Kind, facts: Facts) -> dict[str, str]:
    """The same for what must keep words instead of facts, by language code."""
    words = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            words[code] = str(_told(kind, facts, _in_utc) or "")
    return words


def _told(kind: str, facts: Facts, moment: Callable[[datetime], str]) -> AlertMessage | None:
    """None for facts that fit no sentence: whatever an older or newer release wrote, a page must not fail over it."""
    if not facts:
        return None
    try:
        places = {name: _place(name, value, moment) for name, value in facts.items() if name not in ("say", "words")}
        sentences = [str(SENTENCES[name]) % places for name in facts.get("say", [kind])]
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return AlertMessage(join_sentences(sentences), str(facts.get("words", "")))


def _place(name: str, value: Any, moment: Callable[[datetime], str]) -> str:
    if name.endswith("_at"):
        return moment(datetime.fromisoformat(value))
    if name.endswith("_share"):
        return format_percent(Decimal(str(value)))
    if name == "scope":
        return _whose(value)
    return format_amount(Decimal(value)) if _NUMBER.fullmatch(str(value)) else str(value)


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _whose(scope: str) -> str:
    """Whose a budget is, as operators call it; users go by number, for what is written here outlives their accounts."""
    subject, _colon, name = scope.partition(":")
    named = {
        Budget.Subject.USER: _("User %(id)s") % {"id": name},
        Budget.Subject.MODEL: item_names.get_model_title(name),
    }
    return named.get(Budget.Subject(subject)) or str(Budget.Subject(subject).label)


def _in_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
