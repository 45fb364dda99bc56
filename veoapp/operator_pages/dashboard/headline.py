"""The headline of the dashboard: whether videos are generated, or why not, how long the credits last, and one action.

The account is parked while the provider refuses us. The circuit breaker stops calls while the provider fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.alerts.messages import format_message_as_text
from billing.budgets import pacing
from billing.budgets import state as budget_state
from billing.budgets.limits import ALL
from billing.budgets.state import State
from billing.common.formatting import format_amount, format_moment
from billing.guard import circuit_breaker
from billing.models import Alert, Period, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider.accounts import format_pause_note, format_pause_reason
from billing.reports import forecasts
from billing.reports.forecasts import Pace
from veoapp.operator_pages.dashboard import actions
from veoapp.operator_pages.dashboard.actions import Action
from veoapp.operator_pages.dashboard.outlook import describe_outlook

Pause = ProviderAccount.Pause

PARKED_TEXTS: dict[str, Promise] = {
    ProviderAccount.Parked.OUT_OF_CREDITS: gettext_lazy(
        "The provider reports that our account has no credits left. Generation resumes automatically after a top-up."
    ),
    ProviderAccount.Parked.ACCESS_DENIED: gettext_lazy(
        "The provider rejects our key or IP address. Generation resumes automatically once it is accepted."
    ),
}
# For a budget that stops every new video, and then for one that stops only the waiting videos.
SPENT_TEXTS: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("This hour's budget is spent: %(used)s of %(limit)s. The next one starts %(time)s."),
    Period.DAY: gettext_lazy("Today's budget is spent: %(used)s of %(limit)s. The next one starts %(time)s."),
    Period.MONTH: gettext_lazy("This month's budget is spent: %(used)s of %(limit)s. The next one starts %(time)s."),
}
TOO_LOW_TEXTS: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy(
        "This hour's budget is too low for the videos waiting: %(used)s of %(limit)s are used. "
        "The next one starts %(time)s."
    ),
    Period.DAY: gettext_lazy(
        "Today's budget is too low for the videos waiting: %(used)s of %(limit)s are used. "
        "The next one starts %(time)s."
    ),
    Period.MONTH: gettext_lazy(
        "This month's budget is too low for the videos waiting: %(used)s of %(limit)s are used. "
        "The next one starts %(time)s."
    ),
}


@dataclass(frozen=True)
class Headline:
    """The headline: its tone (good, warn or bad), title, reason, forecast sentences (`outlook`) and action."""

    tone: str
    title: str
    text: str
    outlook: str = ""
    action: Action | None = None


@dataclass(frozen=True, kw_only=True)
class StatusFacts:
    """The facts from which the headline is chosen.

    `usable_balance` is how many provider credits can be spent before new videos stop; it is None before the balance is
    first read. `balance_ends_at` is the forecast of when they are spent, `pace` the speed of spending. `waiting` is the
    number of videos that are ordered but not sent. `alerts` are the open alerts that the reader may see.
    """

    at: datetime
    account: ProviderAccount | None
    has_worker: bool
    waiting: int
    budgets: Sequence[State]
    alerts: Sequence[Alert]
    pace: Pace
    usable_balance: Decimal | None
    balance_ends_at: datetime | None

    @property
    def outlook(self) -> str:
        return describe_outlook(
            self.budgets,
            pace=self.pace,
            usable_balance=self.usable_balance,
            balance_ends_at=self.balance_ends_at,
            at=self.at,
        )


def choose_headline(facts: StatusFacts) -> Headline:
    """Return the headline of the first check in `checks` that finds a problem, or else describe how generation goes."""
    account = facts.account
    if account is None:
        text = _("There is no provider key: set KIE_AI_API_KEY, or add a key here.")
        return Headline("bad", _("Not generating."), text, action=actions.add_key())
    checks = (
        _check_pause,
        _check_parked,
        _check_balance,
        _check_budget,
        _check_worker,
        _check_breaker,
        _check_balance_read,
    )
    for check in checks:
        headline = check(facts, account)
        if headline is not None:
            return headline
    return _describe_generation(facts, account)


def _check_pause(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if account.paused_at is None or not account.is_paused_at(facts.at):
        return None
    paused_by = account.paused_by.email if account.paused_by else _("the spending monitor")
    until = account.paused_until
    outlook = (
        _("It resumes automatically at %(time)s.") % {"time": format_moment(until)}
        if until
        else _("It stays paused until an operator resumes it.")
    )
    reason = format_pause_note(account) if account.pause_code == Pause.UNUSUAL_SPEND else format_pause_reason(account)
    text = capfirst(reason or str(account.get_pause_code_display()))
    return Headline(
        "warn",
        _("Paused by %(person)s since %(time)s.") % {"person": paused_by, "time": format_moment(account.paused_at)},
        _("%(why)s.") % {"why": text.rstrip(".。")},
        outlook,
        actions.resume(account),
    )


def _check_parked(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if not account.parked_as:
        return None
    is_out_of_credits = account.parked_as == ProviderAccount.Parked.OUT_OF_CREDITS
    action = actions.top_up(account) if is_out_of_credits else actions.view_key(account)
    return Headline("bad", _("Not generating."), str(PARKED_TEXTS[account.parked_as]), action=action)


def _check_balance(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if account.balance is None or not (
        provider_accounts.is_critical(account) or (facts.usable_balance is not None and facts.usable_balance <= 0)
    ):
        return None
    text = _("The provider balance is %(balance)s; new videos stop at %(critical)s.") % {
        "balance": format_amount(account.balance),
        "critical": format_amount(settings.CRITICAL_BALANCE_THRESHOLD),
    }
    outlook = _("It resumes automatically after a top-up.")
    return Headline("bad", _("Not generating."), text, outlook, actions.top_up(account))


def _check_budget(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    budget = budget_state.find_blocking_state(facts.budgets)
    if budget is None:
        return None
    if budget.limit is not None and budget.cheapest_new is not None and budget.limit < budget.cheapest_new:
        text = _("A budget of %(limit)s is below the price of any video: nothing is sent until it is raised.") % {
            "limit": format_amount(budget.limit)
        }
        return Headline("warn", _("Not generating."), text, action=actions.raise_budget())
    text = (SPENT_TEXTS if budget.is_used_up else TOO_LOW_TEXTS)[budget.period] % {
        "used": format_amount(budget.used),
        "limit": format_amount(budget.limit),
        "time": forecasts.format_forecast(budget.window.ends_at, at=facts.at),
    }
    outlook = _("Orders keep their place in the queue.")
    return Headline("warn", _("Waiting for the next budget."), text, outlook, actions.raise_budget())


def _check_worker(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if facts.has_worker:
        return None
    text = _("No worker is running, so nothing is sent. Orders keep their place in the queue.")
    return Headline("bad", _("Not generating."), text, _("Start one with “manage.py worker”."))


def _check_breaker(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if account.breaker == ProviderAccount.Breaker.CLOSED:
        return None
    action = actions.view_account(account, is_primary=False)
    if not facts.waiting and circuit_breaker.is_cooldown_over(account, facts.at):
        text = _("The provider failed earlier, the pause after that is over, and no video is waiting.")
        outlook = _("The next order is accepted and sent first, as a test; once that succeeds, the others follow.")
        return Headline("warn", _("Ready to try the provider again."), text, outlook, action)
    alert = next((alert for alert in facts.alerts if alert.kind == Alert.Kind.PROVIDER_TROUBLE), None)
    text = (
        _("The provider has problems: %(detail)s.") % {"detail": format_message_as_text(alert).rstrip(".。")}
        if alert
        else _("The provider has problems.")
    )
    outlook = _("We retry automatically, starting with a free request.")
    until = account.breaker_until
    if account.breaker == ProviderAccount.Breaker.OPEN and until is not None and until > facts.at:
        outlook = _("We retry automatically at %(time)s, starting with a free request.") % {
            "time": format_moment(until)
        }
    return Headline("warn", _("Waiting for the provider."), text, outlook, action)


def _check_balance_read(facts: StatusFacts, account: ProviderAccount) -> Headline | None:
    if account.balance is not None:
        return None
    text = _("The provider balance has not been read yet. Wait a moment, or test the connection.")
    return Headline("warn", _("Starting up."), text, action=actions.view_key(account))


def _describe_generation(facts: StatusFacts, account: ProviderAccount) -> Headline:
    if account.balance is not None and account.balance <= settings.LOW_BALANCE_THRESHOLD:
        text = _("The provider balance is low: top it up soon.")
        return Headline("warn", _("Generating."), text, facts.outlook, actions.top_up(account))
    if any(budget.scope == ALL and budget.is_soft for budget in facts.budgets):
        action = actions.raise_budget(is_primary=False)
        slowed = next((budget for budget in facts.budgets if pacing.is_slowed(budget, facts.at)), None)
        if slowed is None:
            return Headline("warn", _("Generating; a budget is almost spent."), "", facts.outlook, action)
        text = _("What is left of it is spread evenly until %(time)s.") % {
            "time": forecasts.format_forecast(slowed.window.ends_at, at=facts.at)
        }
        return Headline("warn", _("Generating slowly; a budget is almost spent."), text, facts.outlook, action)
    return Headline("good", _("Generating normally."), "", facts.outlook, actions.pause(account))
