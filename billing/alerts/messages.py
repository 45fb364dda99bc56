"""The text of an alert: sentences with its figures and times, in the language and time zone of their reader.

Code that raises an alert passes facts, which are plain JSON. `say` lists the names of the sentences, if a kind has
several. `words` is third-party text (from the provider or an exception), which is added unchanged. Amounts are strings
(`formatting.format_plain`). Names that end in `_at` hold times in ISO 8601, and names that end in `_share` hold fractions
between 0 and 1. `scope` is a budget's scope. The webhook sends the facts as they are, and stored alerts keep them, so no
name of a fact or a sentence may change.
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

# Keyed by the names that `say` lists. A kind with only one sentence uses its own value as key, and needs no `say`.
SENTENCES: dict[str, Promise] = {
    "low_balance": gettext_lazy("%(balance)s provider credits are left; the warning threshold is %(threshold)s."),
    "critical_balance": gettext_lazy("%(balance)s provider credits are left; new videos stop at %(threshold)s."),
    "no_key": gettext_lazy("There is no provider key: set KIE_AI_API_KEY, or add a provider account."),
    "key_gone": gettext_lazy("The key of %(account)s is no longer available: it was never stored."),
    "key_unusable": gettext_lazy("The key of %(account)s cannot be used."),
    # Budgets that are almost or completely used up.
    "budget_hour": gettext_lazy(
        "%(scope)s: %(used)s of the hour's %(limit)s provider credits are used. The next hour begins at %(next_at)s."
    ),
    "budget_day": gettext_lazy(
        "%(scope)s: %(used)s of the day's %(limit)s provider credits are used. The next day begins on %(next_at)s."
    ),
    "budget_month": gettext_lazy(
        "%(scope)s: %(used)s of the month's %(limit)s provider credits are used. The next month begins on %(next_at)s."
    ),
    # The spending monitor: first what was measured (`bar` is the limit), then how the pause ends.
    "usual_hour": gettext_lazy(
        "%(ordered)s provider credits were ordered this hour; %(usual)s are usual and the limit is %(bar)s."
    ),
    # Too little history to know what is usual.
    "young_hour": gettext_lazy(
        "%(ordered)s provider credits were ordered this hour. What is usual is not known yet, so the limit is %(bar)s."
    ),
    "failures": gettext_lazy(
        "%(failed)s of the last %(jobs)s videos failed at the provider (%(reasons)s); the limit is %(bar_share)s."
    ),
    "burst": gettext_lazy(
        "One user ordered %(orders)s videos in ten minutes; %(usual)s are usual for them and the limit is %(bar)s. "
        "Other users are not affected."
    ),
    "heals": gettext_lazy("It ends automatically at %(until_at)s."),  # the pause ends by itself
    "waits": gettext_lazy("It stays until an operator ends it."),  # the pause waits for a person
    # The provider's balance: `gone` is the missing amount. The second sentence also says when most of it disappeared.
    "unexplained_spend": gettext_lazy("%(gone)s provider credits are missing and no video explains them."),
    "unexplained_worst": gettext_lazy(
        "%(gone)s provider credits are missing and no video explains them. Most of them left between %(since_at)s and "
        "%(until_at)s."
    ),
    # Prices: `seen` is what the provider now charges.
    "price_reported": gettext_lazy("Our price list says %(listed)s provider credits; finished videos cost %(seen)s."),
    "price_feed": gettext_lazy(
        "Our price list says %(listed)s provider credits; the provider's price feed says %(seen)s."
    ),
    "negative_margin": gettext_lazy(
        "The user pays %(user_credits)s credits and we pay %(provider_credits)s provider credits: "
        "a loss of %(loss)s US$ per video."
    ),
    # Checks of the books.
    "books": gettext_lazy("Problems found: %(problems)s."),
    "books_late": gettext_lazy("The last check finished at %(looked_at)s."),
    "books_never": gettext_lazy("No check has ever finished."),
    # Mail, worker and storage.
    "summary_unsent": gettext_lazy("The mail about %(day)s could not be delivered in %(attempts)s attempts."),
    "worker_ended": gettext_lazy("The worker's processes had exited."),
    "worker_silent": gettext_lazy("No job was finished for %(silent_s)s seconds."),
    "no_room": gettext_lazy("Less than the reserve of %(reserve_mb)s MB is free on the disk."),
    "unreadable": gettext_lazy("A stored file cannot be opened."),
    # Callbacks: first how many are missing, then the likely reason.
    "callbacks_dry": gettext_lazy(
        "%(polled)s of the last %(verdicts)s results came from polling, not from a callback."
    ),
    "callbacks_private": gettext_lazy(
        "Callbacks go to %(address)s, which cannot be reached from the internet. If you have a public address, set "
        "APP_URL or CALLBACK_BASE_URL to it; otherwise mark this alert as seen."
    ),
    "callbacks_never": gettext_lazy(
        "No callback has ever arrived at %(address)s. Check whether it can be reached from the internet; if it is not "
        "meant to be public, mark this alert as seen."
    ),
    "callbacks_ended": gettext_lazy("The last callback arrived at %(address)s at %(called_at)s."),
    # Videos.
    "many": gettext_lazy("More videos with the same problem: %(videos)s. Details are on each video's page."),
    "download_failed": gettext_lazy("Attempt %(attempts)s failed."),
    "download_died": gettext_lazy("The worker died during the download; attempt %(attempts)s has started."),
    "download_lost": gettext_lazy("The download was given up at attempt %(attempts)s."),
    "odd_no_file": gettext_lazy("The provider says that the video is ready but names no file."),
    "odd_verdict": gettext_lazy("The provider reported a result that veoapp does not know."),
    # We asked the provider about the task id in the callback, and it described another video.
    "odd_callback": gettext_lazy("A callback for this video was not trusted."),
    "given_up_deadline": gettext_lazy("There was no result within %(hours)s hours."),
    "given_up_unconfirmed": gettext_lazy("No callback arrived within an hour."),
    "given_up_no_file": gettext_lazy("Its file could not be downloaded."),
    "given_up_by_hand": gettext_lazy("An operator gave up on it."),
}


class AlertMessage(NamedTuple):
    """Our sentences, and the third-party text (the fact `words`) as it was recorded; either may be empty."""

    sentences: str
    third_party_text: str

    def __str__(self) -> str:
        return "\n".join(filter(None, self))


def format_message(alert: Alert) -> AlertMessage:
    """Return the message in the active language and time zone; an alert without usable facts shows its detail."""
    return _format_facts(alert.kind, alert.facts, formatting.format_moment) or AlertMessage("", alert.detail)


def format_message_as_text(alert: Alert) -> str:
    """Return the message as a single text, for a row of a list."""
    return str(format_message(alert))


def format_english(kind: Alert.Kind, facts: Facts) -> str:
    """Return the text for machines and logs, in English with times in UTC; "" if the facts fit no sentence."""
    with translation.override("en"):
        return str(_format_facts(kind, facts, _format_utc) or "")


def format_in_all_languages(kind: Alert.Kind, facts: Facts) -> dict[str, str]:
    """Return the text by language code, for pause reasons, which are stored as text (`billing.guard.anomalies`)."""
    texts = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            texts[code] = str(_format_facts(kind, facts, _format_utc) or "")
    return texts


def _format_facts(kind: str, facts: Facts, format_time: Callable[[datetime], str]) -> AlertMessage | None:
    """Return the message, or None if the facts fit no sentence.

    A page must not fail because of facts that another release wrote.
    """
    if not facts:
        return None
    try:
        values = {
            name: _format_value(name, value, format_time)
            for name, value in facts.items()
            if name not in ("say", "words")
        }
        sentences = [str(SENTENCES[name]) % values for name in facts.get("say", [kind])]
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return AlertMessage(join_sentences(sentences), str(facts.get("words", "")))


def _format_value(name: str, value: Any, format_time: Callable[[datetime], str]) -> str:
    if name.endswith("_at"):
        return format_time(datetime.fromisoformat(value))
    if name.endswith("_share"):
        return format_percent(Decimal(str(value)))
    if name == "scope":
        return _format_scope(value)
    return format_amount(Decimal(value)) if _NUMBER.fullmatch(str(value)) else str(value)


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _format_scope(scope: str) -> str:
    """The name that operators see for a budget's scope. Users are named by number: the text may outlive their accounts."""
    subject, _colon, name = scope.partition(":")
    names = {
        Budget.Subject.USER: _("User %(id)s") % {"id": name},
        Budget.Subject.MODEL: item_names.get_model_title(name),
    }
    return names.get(Budget.Subject(subject)) or str(Budget.Subject(subject).label)


def _format_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
