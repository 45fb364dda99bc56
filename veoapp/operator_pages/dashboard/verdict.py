"""One sentence: are videos being made, else why not and since when; until when the money lasts; the one thing to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.alerts.messages import format_detail
from billing.budgets import pacing
from billing.budgets import state as budget_state
from billing.budgets.limits import ALL
from billing.budgets.state import State
from billing.common.formatting import format_amount, format_moment, join_sentences
from billing.guard import circuit_breaker
from billing.models import Alert, Period, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider.accounts import format_pause_note, format_pause_reason
from billing.reports import forecasts
from billing.reports.forecasts import Pace

Pause = ProviderAccount.Pause

SEE_BUDGETS, SEE_ACCOUNT = "billing.view_budget", "billing.view_provideraccount"
TOP_UP_URL = "https://kie.ai/billing"

PARKED: dict[str, Promise] = {
    ProviderAccount.Parked.OUT_OF_CREDITS: gettext_lazy(
        "The provider says that our account has no credits left. It goes on by itself after a top-up."
    ),
    ProviderAccount.Parked.ACCESS_DENIED: gettext_lazy(
        "The provider refuses our key or address. It goes on by itself once it is accepted."
    ),
}
SPENT: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("This hour's budget is spent: %(used)s of %(limit)s. The next begins %(time)s."),
    Period.DAY: gettext_lazy("Today's budget is spent: %(used)s of %(limit)s. The next begins %(time)s."),
    Period.MONTH: gettext_lazy("This month's budget is spent: %(used)s of %(limit)s. The next begins %(time)s."),
}
NO_ROOM: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy(
        "This hour's budget has no room for what waits: %(used)s of %(limit)s are used. The next begins %(time)s."
    ),
    Period.DAY: gettext_lazy(
        "Today's budget has no room for what waits: %(used)s of %(limit)s are used. The next begins %(time)s."
    ),
    Period.MONTH: gettext_lazy(
        "This month's budget has no room for what waits: %(used)s of %(limit)s are used. The next begins %(time)s."
    ),
}
ENDS: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("This hour's budget ends about %(time)s at this pace."),
    Period.DAY: gettext_lazy("Today's budget ends about %(time)s at this pace."),
    Period.MONTH: gettext_lazy("This month's budget ends about %(time)s at this pace."),
}


@dataclass(frozen=True)
class Action:
    """The one thing to do: a link, or an act on the provider account, which asks before it does anything.

    `right`: who has it not is offered nothing.
    """

    label: str
    url: str
    right: str = ""
    act: str = ""
    account_id: int = 0
    is_primary: bool = True

    @property
    def is_elsewhere(self) -> bool:
        return self.url.startswith("https:")


@dataclass(frozen=True)
class Verdict:
    """A tone (good, warn, bad), the word, why, until when money lasts, and what to do."""

    tone: str
    title: str
    text: str
    outlook: str = ""
    action: Action | None = None


@dataclass(frozen=True, kw_only=True)
class House:
    """How everything stands now. `left`: provider credits until new work stops; None before the first reading.

    `waiting`: how many videos are ordered and not sent. `alerts`: those that the person before it may see.
    """

    at: datetime
    account: ProviderAccount | None
    works: bool
    waiting: int
    states: Sequence[State]
    alerts: Sequence[Alert]
    pace: Pace
    left: Decimal | None
    balance_ends_at: datetime | None

    @property
    def spent(self) -> State | None:
        """The budget that stops work."""
        return budget_state.find_blocking_state(self.states)


def on(house: House) -> Verdict:
    """The strongest reason first."""
    account = house.account
    if account is None:
        url = reverse("admin:billing_provideraccount_add")
        text = _("There is no provider key: set KIE_AI_API_KEY, or add a key here.")
        return Verdict(
            "bad", _("Not generating."), text, action=Action(_("Add a key…"), url, "billing.add_provideraccount")
        )
    for judge in (_paused, _parked, _without_money, _over_budget, _without_worker, _broken, _unread):
        verdict = judge(house, account)
        if verdict is not None:
            return verdict
    return _generating(house, account)


def _paused(house: House, account: ProviderAccount) -> Verdict | None:
    if account.paused_at is None or not account.is_paused_at(house.at):
        return None
    facts = {
        "time": format_moment(account.paused_at),
        "person": account.paused_by.email if account.paused_by else _("the watch over spending"),
    }
    until = account.paused_until
    ends = (
        _("It resumes by itself at %(time)s.") % {"time": format_moment(until)}
        if until
        else _("It goes on when somebody resumes it.")
    )
    reason = format_pause_note(account) if account.pause_code == Pause.UNUSUAL_SPEND else format_pause_reason(account)
    words = capfirst(reason or str(account.get_pause_code_display()))
    return Verdict(
        "warn",
        _("Paused by %(person)s since %(time)s.") % facts,
        _("%(why)s.") % {"why": words.rstrip(".。")},
        ends,
        _act(_("Resume…"), "resume", account),
    )


def _parked(house: House, account: ProviderAccount) -> Verdict | None:
    if not account.parked_as:
        return None
    if account.parked_as == ProviderAccount.Parked.OUT_OF_CREDITS:
        return Verdict("bad", _("Not generating."), str(PARKED[account.parked_as]), action=_top_up(account))
    page = Action(_("Look at the key"), _page_of(account), SEE_ACCOUNT)
    return Verdict("bad", _("Not generating."), str(PARKED[account.parked_as]), action=page)


def _without_money(house: House, account: ProviderAccount) -> Verdict | None:
    if account.balance is None or not (
        provider_accounts.is_critical(account) or (house.left is not None and house.left <= 0)
    ):
        return None
    text = _("The provider balance is %(balance)s; new videos stop at %(critical)s.") % {
        "balance": format_amount(account.balance),
        "critical": format_amount(settings.CRITICAL_BALANCE_THRESHOLD),
    }
    return Verdict("bad", _("Not generating."), text, _("It goes on by itself after a top-up."), _top_up(account))


def _over_budget(house: House, account: ProviderAccount) -> Verdict | None:
    state = house.spent
    if state is None:
        return None
    text = (SPENT if state.is_used_up else NO_ROOM)[state.period] % {
        "used": format_amount(state.used),
        "limit": format_amount(state.limit),
        "time": forecasts.moment(state.window.ends_at, at=house.at),
    }
    raised = Action(_("Raise the budget…"), budgets_url(), SEE_BUDGETS)
    if state.limit is not None and state.cheapest_new is not None and state.limit < state.cheapest_new:
        text = _("A budget of %(limit)s is less than any video costs: nothing is sent until it is raised.") % {
            "limit": format_amount(state.limit)
        }
        return Verdict("warn", _("Not generating."), text, action=raised)
    return Verdict(
        "warn", _("Waiting for the next budget."), text, _("Nothing is lost: what was ordered keeps its place."), raised
    )


def _without_worker(house: House, account: ProviderAccount) -> Verdict | None:
    if house.works:
        return None
    text = _("No worker answers, so nothing is sent. What was ordered keeps its place.")
    return Verdict("bad", _("Not generating."), text, _("Start one with “manage.py worker”."))


def _broken(house: House, account: ProviderAccount) -> Verdict | None:
    if account.breaker == ProviderAccount.Breaker.CLOSED:
        return None
    page = Action(_("Look at it"), _page_of(account), SEE_ACCOUNT, is_primary=False)
    if not house.waiting and circuit_breaker.has_rested(account, house.at):
        text = _("It had trouble and has rested since; nothing waits.")
        outlook = _("The next order is taken and goes first, as the probe; once it is sent, all others follow.")
        return Verdict("warn", _("Ready to try the provider again."), text, outlook, page)
    trouble = next((alert for alert in house.alerts if alert.kind == Alert.Kind.PROVIDER_TROUBLE), None)
    text = (
        _("It has trouble: %(detail)s.") % {"detail": format_detail(trouble).rstrip(".。")}
        if trouble
        else _("It has trouble.")
    )
    outlook = _("We try again by ourselves, a free question first.")
    until = account.breaker_until
    if account.breaker == ProviderAccount.Breaker.OPEN and until is not None and until > house.at:
        outlook = _("We try again by ourselves at %(time)s, a free question first.") % {"time": format_moment(until)}
    return Verdict("warn", _("Waiting for the provider."), text, outlook, page)


def _unread(house: House, account: ProviderAccount) -> Verdict | None:
    if account.balance is not None:
        return None
    text = _("The provider balance was not read yet; a moment, or test the connection.")
    return Verdict(
        "warn", _("About to generate."), text, action=Action(_("Look at the key"), _page_of(account), SEE_ACCOUNT)
    )


def _generating(house: House, account: ProviderAccount) -> Verdict:
    outlook = _outlook(house)
    if account.balance is not None and account.balance <= settings.LOW_BALANCE_THRESHOLD:
        text = _("The provider balance is low: top it up soon.")
        return Verdict("warn", _("Generating."), text, outlook, _top_up(account))
    soft = next((state for state in house.states if state.scope == ALL and state.is_soft), None)
    if soft is not None:
        raised = Action(_("Raise the budget…"), budgets_url(), SEE_BUDGETS, is_primary=False)
        slow = next((state for state in house.states if pacing.is_slowed(state, house.at)), None)
        if slow is not None:
            facts = {"time": forecasts.moment(slow.window.ends_at, at=house.at)}
            text = _("What is left of it is given out evenly until %(time)s.") % facts
            return Verdict("warn", _("Generating slowly; a budget is almost spent."), text, outlook, raised)
        return Verdict("warn", _("Generating; a budget is almost spent."), "", outlook, raised)
    return Verdict("good", _("Generating normally."), "", outlook, _act(_("Pause…"), "pause", account))


def _outlook(house: House) -> str:
    """Until when the budget that ends first and the balance last."""
    if house.pace.now <= 0 and house.pace.day <= 0:
        return _("Nothing was ordered in the last 24 hours.")
    sentences = []
    ending = sorted(
        (
            (end, state)
            for state in house.states
            if state.scope == ALL and (end := end_of(state, house.pace, at=house.at))
        ),
        key=lambda pair: pair[0],
    )
    if ending:
        end, state = ending[0]
        sentences.append(ENDS[state.period] % {"time": forecasts.moment(end, at=house.at)})
    elif any(state.limit is not None for state in house.states):
        sentences.append(_("All budgets last at this pace."))
    if house.balance_ends_at is not None:
        time = forecasts.moment(house.balance_ends_at, at=house.at)
        sentences.append(_("The provider balance lasts until about %(time)s.") % {"time": time})
    elif house.left is not None:
        sentences.append(_("The provider balance lasts for weeks."))
    return join_sentences(sentences)


def end_of(state: State, pace: Pace, *, at: datetime) -> datetime | None:
    """When a budget stops work at this pace; None when its window ends before, or it has no limit."""
    if state.usable is None:
        return None
    end = forecasts.ends_at(state.usable, pace, at=at)
    return end if end is not None and end < state.window.ends_at else None


def budgets_url() -> str:
    """Where limits are changed."""
    return reverse("admin:billing_budget_changelist")


def _act(label: str, act: str, account: ProviderAccount) -> Action:
    url = reverse("admin:billing_provideraccount_changelist")
    return Action(label, url, "billing.change_provideraccount", act, account.pk, is_primary=act == "resume")


def _top_up(account: ProviderAccount) -> Action:
    if account.source == ProviderAccount.Source.SANDBOX:
        return Action(_("Look at the account"), _page_of(account), SEE_ACCOUNT)
    return Action(_("Top up at the provider"), TOP_UP_URL)


def _page_of(account: ProviderAccount) -> str:
    return reverse("admin:billing_provideraccount_change", args=[account.pk])
