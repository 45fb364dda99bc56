"""Product actions that raise alerts: one action for each sentence of `billing.alerts.messages`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils.module_loading import autodiscover_modules
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.audit import runner as audit_runner
from billing.budgets import alerts as budget_alerts
from billing.budgets import limits
from billing.budgets import usage as budget_usage
from billing.common.item_names import Item
from billing.costs import rollups, spend
from billing.guard import anomalies
from billing.guard.anomalies import RecentOutcomes
from billing.models import (
    Alert,
    BooksRun,
    Budget,
    BudgetWindow,
    DailySummary,
    Measure,
    Period,
    PriceProposal,
    ProviderAccount,
)
from billing.pricing import margins, prices, provider_price_changes
from billing.provider import accounts as provider_accounts
from billing.provider import balance_alerts
from billing.reconciliation import reconcile
from billing.reports import summary_schedule
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from tests.jobs import job_id
from tests.people import give_credits
from tests.videos import video_states
from videos.lifecycle import status_changes as lifecycle
from videos.ordering import orders
from videos.pipeline import clients as provider_clients
from videos.pipeline import dispatch, polling
from videos.providers.base import Report, ReportState
from videos.storage import media_store
from videos.worker import supervisor, sweep

Kind = Alert.Kind
ITEM = Item("veo3_fast", "720p", "generate")


@dataclass
class Fixtures:
    """The fixtures that the triggers need."""

    manual_clock: ManualClock
    user: User
    settings: Settings
    monkeypatch: pytest.MonkeyPatch


def read_balance(amount: str) -> None:
    balance_alerts.update_balance_alerts(provider_accounts.get_current_account(), Decimal(amount))


def send_without_key(fixtures: Fixtures) -> None:
    fixtures.settings.KIE_AI_API_KEY, fixtures.settings.SANDBOX_ALLOWED = "", False
    dispatch.dispatch_due()


def use_unusable_key(fixtures: Fixtures, key: str) -> None:
    """Poll with a key that no HTTP header can carry."""
    account = ProviderAccount.objects.create(
        source="environment", label="kie.ai", key_fingerprint=provider_accounts.fingerprint(key)
    )
    fixtures.settings.KIE_AI_API_KEY = key
    with pytest.raises(provider_accounts.NoProviderKey) as error:
        provider_clients.client_for(account)
    alerts.raise_alert(Kind.ACCESS_DENIED, cause=account.cause, facts=error.value.facts)


def use_missing_key(fixtures: Fixtures) -> None:
    account = ProviderAccount.objects.create(source="environment", label="kie.ai", key_fingerprint="x")
    with pytest.raises(provider_accounts.NoProviderKey) as error:
        provider_clients.client_for(account)
    alerts.raise_alert(Kind.ACCESS_DENIED, cause=account.cause, facts=error.value.facts)


def use_up_budget(period: Period, *, subject: str = Budget.Subject.ALL, **owner: Any) -> None:
    limits.set_limit(subject=subject, period=period, limit=Decimal(4000), actor=None, **owner)
    (state,) = [state for state in budget_usage.list_states(clock.now()) if state.source == "admin"]
    BudgetWindow.objects.create(
        scope=state.scope, period=period, starts_at=state.window.starts_at, ends_at=state.window.ends_at, used=4000
    )
    budget_alerts.raise_spent_alert(state)


def run_spending_monitor(outcomes: RecentOutcomes | None = None) -> None:
    anomalies.check_anomalies(
        account_id=provider_accounts.get_current_account().pk,
        outcomes_since=lambda since: outcomes or RecentOutcomes(0, {}),
    )


def order_in_this_hour(fixtures: Fixtures, *, days_before: int) -> None:
    for day in range(days_before + 1):
        rollups.record_counts(
            ordered_at=fixtures.manual_clock.at - timedelta(days=day),
            model="veo3_fast",
            user_id=1,
            counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(1200 if day else 98_765))],
        )
    run_spending_monitor()


def order_without_automatic_end(fixtures: Fixtures) -> None:
    fixtures.settings.UNUSUAL_PAUSE_MINUTES = 0
    order_in_this_hour(fixtures, days_before=0)


def order_burst(fixtures: Fixtures) -> None:
    fixtures.settings.UNUSUAL_USER_BURST = 1
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    for n in range(2):
        spend.estimate(job_id=job_id(f"job:{n}"), user=fixtures.user, quote=quote)
    run_spending_monitor()


def lose_credits(fixtures: Fixtures, *, explained: bool = False) -> None:
    provider = SimulatedProvider(fixtures.manual_clock, fixtures.user, 12_345)
    provider.read_balance()
    provider.balance -= 0 if explained else 1234
    provider.read_balance()
    if explained:
        reconcile.record_correction(
            account_id=provider.account.pk,
            amount=Decimal(1234),
            reason="explained",
            actor=fixtures.user,
            idempotency_key="6a1f5c3e-0000-4000-8000-000000000001",
            happened_at=fixtures.manual_clock.at,
        )
    reconcile.update_unexplained(provider.account)


def propose_price(source: PriceProposal.Source) -> None:
    provider_price_changes.propose_price(item=ITEM, listed=Decimal(1000), seen=Decimal("1200.5"), source=source)


def sell_below_cost() -> None:
    provider_price_changes.set_price(item=ITEM, provider_credits=Decimal(2000), user_credits=1000)
    margins.update_margin_alerts()


def break_books(fixtures: Fixtures) -> None:
    # All checks must be registered before they are replaced for the test.
    autodiscover_modules("audit.checks")
    fixtures.monkeypatch.setattr(
        audit_runner, "_checks", {"one": lambda *, deep: [audit_runner.Problem("I1", "user:5", "odd")]}
    )
    audit_runner.find_problems()


def raise_late_books(*, finished: bool) -> None:
    if finished:
        BooksRun.objects.create(took_s=1, problems=0)
    audit_runner.raise_late_alert()


def restart_worker(fixtures: Fixtures, *, after_s: int | None) -> None:
    process = supervisor.Supervisor()
    fixtures.monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    process.stopping = True
    fixtures.monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 0)
    fixtures.monkeypatch.setattr(process, "_silent_for_s", lambda: after_s or 0)
    fixtures.monkeypatch.setattr(sweep, "enqueue_due", lambda: None)
    if after_s:
        fixtures.monkeypatch.setattr(process, "cluster", type("Cluster", (), {"poll": lambda self: None})())
        fixtures.monkeypatch.setattr(process, "_stop_cluster", lambda **options: None)
    process._check()


def order_with_full_disk(fixtures: Fixtures) -> None:
    fixtures.monkeypatch.setattr(media_store, "has_free_space", lambda: False)
    give_credits(fixtures.user, 100)
    with pytest.raises(orders.StorageFull):
        orders.create(user=fixtures.user, order=orders.VideoOrder(prompt="A lighthouse"), idempotency_key="k")


def open_unreadable_file(fixtures: Fixtures) -> None:
    task = video_states.make_ready(fixtures.user)
    fixtures.monkeypatch.setattr("videos.views.media.serve", _raise_not_found)
    client = Client()
    client.force_login(fixtures.user)
    assert client.get(f"/videos/{task.pk}/file").status_code == 404


def _raise_not_found(*arguments: object) -> None:
    raise FileNotFoundError


def report_unknown_result(fixtures: Fixtures, state: ReportState) -> None:
    task = video_states.make_generating(fixtures.user)
    polling.apply_report(task, Report(provider_task_id=task.pk.hex, state=state, oddities=["state 7"]))


def give_up(fixtures: Fixtures, code: str, *, by_hand: bool = False) -> None:
    task = video_states.make_generating(fixtures.user)
    actor = fixtures.user if by_hand else None
    lifecycle.give_up(task_id=task.pk, from_=task.status, code=code, detail="FileGone: 404", actor=actor)


def raise_with_facts(kind: Alert.Kind, **facts: object) -> None:
    alerts.raise_alert(kind, facts=facts)


# By the name of the sentence. The last ones are raised with facts only, because tests of videos cause those faults.
TRIGGERS: dict[str, Callable[[Fixtures], None]] = {
    "low_balance": lambda fixtures: read_balance("800.5"),
    "critical_balance": lambda fixtures: read_balance("12"),
    "no_key": send_without_key,
    "key_gone": use_missing_key,
    "key_unusable": lambda fixtures: use_unusable_key(fixtures, "a key\n"),
    "budget_hour": lambda fixtures: use_up_budget(Period.HOUR),
    "budget_day": lambda fixtures: use_up_budget(Period.DAY, subject="user", user=fixtures.user),
    "budget_month": lambda fixtures: use_up_budget(Period.MONTH, subject="model", model="veo3_fast"),
    "usual_hour": lambda fixtures: order_in_this_hour(fixtures, days_before=14),
    "young_hour": lambda fixtures: order_in_this_hour(fixtures, days_before=1),
    "failures": lambda fixtures: run_spending_monitor(RecentOutcomes(1200, {"generation": 1100})),
    "burst": order_burst,
    "heals": lambda fixtures: order_in_this_hour(fixtures, days_before=0),
    "waits": order_without_automatic_end,
    "unexplained_spend": lambda fixtures: lose_credits(fixtures, explained=True),
    "unexplained_worst": lose_credits,
    "price_reported": lambda fixtures: propose_price(PriceProposal.Source.REPORTED),
    "price_feed": lambda fixtures: propose_price(PriceProposal.Source.FEED),
    "negative_margin": lambda fixtures: sell_below_cost(),
    "books": break_books,
    "books_late": lambda fixtures: raise_late_books(finished=True),
    "books_never": lambda fixtures: raise_late_books(finished=False),
    "worker_ended": lambda fixtures: restart_worker(fixtures, after_s=None),
    "worker_silent": lambda fixtures: restart_worker(fixtures, after_s=1234),
    "no_room": order_with_full_disk,
    "unreadable": open_unreadable_file,
    "odd_no_file": lambda fixtures: report_unknown_result(fixtures, ReportState.SUCCEEDED),
    "odd_verdict": lambda fixtures: report_unknown_result(fixtures, ReportState.UNCLEAR),
    "given_up_deadline": lambda fixtures: give_up(fixtures, "deadline"),
    "given_up_unconfirmed": lambda fixtures: give_up(fixtures, "unconfirmed"),
    "given_up_no_file": lambda fixtures: give_up(fixtures, "no_file"),
    "given_up_by_hand": lambda fixtures: give_up(fixtures, "operator", by_hand=True),
    "summary_unsent": lambda fixtures: summary_schedule.record_failure(
        DailySummary(day=fixtures.manual_clock.at.date(), attempts=summary_schedule.MAX_ATTEMPTS - 1),
        "mail server unavailable",
    ),
    "callbacks_dry": lambda fixtures: raise_with_facts(
        Kind.CALLBACKS_STOPPED, say=["callbacks_dry"], polled=38, verdicts=40
    ),
    "callbacks_private": lambda fixtures: raise_with_facts(
        Kind.CALLBACKS_STOPPED, say=["callbacks_private"], address="http://127.0.0.1"
    ),
    "callbacks_never": lambda fixtures: raise_with_facts(
        Kind.CALLBACKS_STOPPED, say=["callbacks_never"], address="https://127.1"
    ),
    "callbacks_ended": lambda fixtures: raise_with_facts(
        Kind.CALLBACKS_STOPPED,
        say=["callbacks_ended"],
        address="https://127.1",
        called_at=fixtures.manual_clock.at.isoformat(),
    ),
    "many": lambda fixtures: raise_with_facts(Kind.DELAYED, say=["many"], videos=1234),
    "download_failed": lambda fixtures: raise_with_facts(Kind.DOWNLOAD_FAILED, say=["download_failed"], attempts=3),
    "download_died": lambda fixtures: raise_with_facts(Kind.DOWNLOAD_FAILED, say=["download_died"], attempts=3),
    "download_lost": lambda fixtures: raise_with_facts(Kind.DOWNLOAD_FAILED, say=["download_lost"], attempts=9),
    "odd_callback": lambda fixtures: raise_with_facts(
        Kind.ODD_ANSWER, say=["odd_callback"], words="the task id belongs to another task"
    ),
}
