"""One alert for each cause and window, however often it is triggered."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.models import Alert, Period
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
DAY_S = timedelta(days=1).total_seconds()


def test_a_thousand_triggers_make_one_alert_with_a_count(manual_clock: ManualClock) -> None:
    for n in range(1_000):
        alerts.raise_alert(Kind.STORAGE, cause="media", detail=f"problem {n}")
    alert = Alert.objects.get()
    assert (alert.count, alert.detail, alert.severity) == (1_000, "problem 999", "critical")
    assert str(alert) == "Media storage has trouble · media"


def test_the_text_stays_when_a_later_trigger_has_none(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.WORKER, detail="killed")
    assert alerts.raise_alert(Kind.WORKER).detail == "killed"
    assert str(Alert.objects.get()) == "The worker was restarted"


def test_another_cause_kind_or_window_is_another_alert(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.DELAYED, cause="a")
    alerts.raise_alert(Kind.DELAYED, cause="b")
    alerts.raise_alert(Kind.LATE_RESULT, cause="a")
    manual_clock.sleep(timedelta(days=1).total_seconds())
    alerts.raise_alert(Kind.DELAYED, cause="a", reference="video:1")
    assert list(Alert.objects.order_by("id").values_list("kind", "cause", "count")) == [
        ("delayed", "a", 1),
        ("delayed", "b", 1),
        ("late_result", "a", 1),
        ("delayed", "a", 1),
    ]
    assert Alert.objects.latest("id").severity == "info"


def test_a_long_cause_still_has_one_alert_per_window(manual_clock: ManualClock) -> None:
    for _ in range(2):
        alerts.raise_alert(Kind.STORAGE, cause="x" * 500)
        manual_clock.sleep(timedelta(days=1).total_seconds())
    assert Alert.objects.count() == 2
    assert alerts.resolve_alerts(Kind.STORAGE, cause="x" * 500) == 1
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_in_a_new_window_a_new_alert_replaces_the_previous_one(manual_clock: ManualClock, olga: User) -> None:
    first = alerts.raise_alert(Kind.STORAGE, cause="media")
    alerts.raise_alert(Kind.STORAGE, cause="other")
    manual_clock.sleep(DAY_S)
    second = alerts.raise_alert(Kind.STORAGE, cause="media")
    first.refresh_from_db()
    assert (first.resolved_at, second.resolved_at) == (manual_clock.at, None)
    assert Alert.objects.filter(resolved_at=None).count() == 2


def test_windows_are_the_site_s_days(manual_clock: ManualClock, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    manual_clock.at = datetime(2026, 9, 1, 15, 59, tzinfo=UTC)
    for _ in range(3):
        alerts.raise_alert(Kind.STORAGE)
        manual_clock.sleep(60)
    assert list(Alert.objects.order_by("id").values_list("count", flat=True)) == [1, 2]


def test_a_window_may_be_an_hour_or_a_month(manual_clock: ManualClock) -> None:
    for _ in range(3):
        alerts.raise_alert(Kind.BUDGET_HARD, cause="hour", window=Period.HOUR)
        alerts.raise_alert(Kind.BUDGET_HARD, cause="month", window="month")
        manual_clock.sleep(3600)
    assert Alert.objects.filter(cause="hour").count() == 3
    assert Alert.objects.get(cause="month").count == 3


def test_a_caller_can_set_the_severity(manual_clock: ManualClock) -> None:
    assert alerts.raise_alert(Kind.DELAYED, severity=alerts.Severity.CRITICAL).severity == "critical"


def test_a_resolved_alert_is_reopened_by_its_cause(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE, cause="media")
    alerts.raise_alert(Kind.STORAGE, cause="other")
    assert alerts.resolve_alerts(Kind.STORAGE, cause="media") == 1
    assert alerts.resolve_alerts(Kind.STORAGE) == 1
    assert alerts.resolve_alerts(Kind.STORAGE) == 0
    reopened = alerts.raise_alert(Kind.STORAGE, cause="media")
    assert (reopened.resolved_at, reopened.count, reopened.reopened_at) == (None, 2, manual_clock.at)


def test_reopening_clears_the_acknowledgement(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    alerts.acknowledge(alert_id=alert.pk, actor=olga)
    alerts.raise_alert(Kind.STORAGE)
    assert not Alert.objects.filter(alerts.waiting_condition(manual_clock.at)).exists()
    alerts.resolve_alerts(Kind.STORAGE)
    alerts.raise_alert(Kind.STORAGE)
    assert Alert.objects.get(alerts.waiting_condition(manual_clock.at)).acknowledged_by is None


def test_a_snoozed_alert_reappears(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    assert alerts.snooze(alert_id=alert.pk, actor=olga, until=manual_clock.at + timedelta(hours=1))
    assert Alert.objects.get(alerts.snoozed_condition(manual_clock.at)).snoozed_by == olga
    assert not Alert.objects.filter(alerts.waiting_condition(manual_clock.at)).exists()
    manual_clock.sleep(3600)
    assert Alert.objects.get(alerts.waiting_condition(manual_clock.at)) == alert
    assert not Alert.objects.filter(alerts.snoozed_condition(manual_clock.at)).exists()


def test_a_snooze_of_a_week_covers_the_new_alert_of_each_day(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE, cause="media")
    until = manual_clock.at + timedelta(days=7)
    alerts.snooze(alert_id=alert.pk, actor=olga, until=until)
    manual_clock.sleep(DAY_S)
    successor = alerts.raise_alert(Kind.STORAGE, cause="media")
    assert (successor.snoozed_until, successor.snoozed_by) == (until, olga)
    assert not alerts.snooze(alert_id=alert.pk, actor=olga, until=until)


def test_an_operator_can_resolve_an_alert(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.LATE_RESULT)
    assert alerts.resolve_by_hand(alert_id=alert.pk, actor=olga)
    assert not alerts.resolve_by_hand(alert_id=alert.pk, actor=olga)
    alert.refresh_from_db()
    assert (alert.resolved_at, alert.acknowledged_by) == (manual_clock.at, olga)


def test_a_trigger_that_loses_the_race_to_create_the_alert_is_counted(
    manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.raise_alert(Kind.STORAGE, cause="media")
    original_filter = Alert.objects.filter

    def find_none_once(**conditions: object) -> object:
        monkeypatch.setattr(Alert.objects, "filter", original_filter)
        return Alert.objects.none()

    monkeypatch.setattr(Alert.objects, "filter", find_none_once)
    assert alerts.raise_alert(Kind.STORAGE, cause="media").count == 2
    assert Alert.objects.count() == 1


def test_only_the_first_acknowledgement_counts(manual_clock: ManualClock, olga: User, bob: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    assert alerts.acknowledge(alert_id=alert.pk, actor=olga)
    assert not alerts.acknowledge(alert_id=alert.pk, actor=bob)
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.acknowledged_at, alert.resolved_at) == (olga, manual_clock.at, None)


def test_severities_are_set_for_existing_kinds_only() -> None:
    assert set(alerts.SEVERITY) <= set(Kind)
