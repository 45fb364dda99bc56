"""One alert for each cause and window, however often it happens."""

from datetime import timedelta

import pytest

from accounts.models import User
from billing import alerts
from billing.models import Alert
from tests.billing.conftest import SetClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


@pytest.mark.postgres
def test_ten_thousand_triggers_make_one_alert_that_counts_them(still: SetClock) -> None:
    for n in range(10_000):
        alerts.raise_alert(Kind.STORAGE, cause="media", detail=f"trouble {n}")
    alert = Alert.objects.get()
    assert (alert.count, alert.detail, alert.severity) == (10_000, "trouble 9999", "critical")
    assert str(alert) == "Media storage has trouble · media"


def test_words_stay_when_a_later_trigger_has_none(still: SetClock) -> None:
    alerts.raise_alert(Kind.WORKER, detail="killed")
    assert alerts.raise_alert(Kind.WORKER).detail == "killed"
    assert str(Alert.objects.get()) == "The worker was restarted"


def test_another_cause_kind_or_window_is_another_alert(still: SetClock) -> None:
    alerts.raise_alert(Kind.DELAYED, cause="a")
    alerts.raise_alert(Kind.DELAYED, cause="b")
    alerts.raise_alert(Kind.LATE_RESULT, cause="a")
    still.sleep(timedelta(days=1).total_seconds())
    alerts.raise_alert(Kind.DELAYED, cause="a", reference="video:1")
    assert list(Alert.objects.order_by("id").values_list("kind", "cause", "count")) == [
        ("delayed", "a", 1),
        ("delayed", "b", 1),
        ("late_result", "a", 1),
        ("delayed", "a", 1),
    ]
    assert Alert.objects.latest("id").severity == "info"


def test_a_cause_of_any_length_keeps_its_window(still: SetClock) -> None:
    for _ in range(2):
        alerts.raise_alert(Kind.STORAGE, cause="x" * 500)
        still.sleep(timedelta(days=1).total_seconds())
    assert Alert.objects.count() == 2
    assert alerts.resolve(Kind.STORAGE, cause="x" * 500) == 2


def test_an_alert_that_is_over_opens_again_with_its_cause(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE, cause="media")
    alerts.raise_alert(Kind.STORAGE, cause="other")
    assert alerts.resolve(Kind.STORAGE, cause="media") == 1
    assert alerts.resolve(Kind.STORAGE) == 1
    assert alerts.resolve(Kind.STORAGE) == 0
    again = alerts.raise_alert(Kind.STORAGE, cause="media")
    assert (again.resolved_at, again.count) == (None, 2)


def test_whoever_loses_the_race_to_be_first_is_counted(still: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    alerts.raise_alert(Kind.STORAGE, cause="media")
    look = Alert.objects.filter

    def saw_none_yet(**wanted: object) -> object:
        monkeypatch.setattr(Alert.objects, "filter", look)
        return Alert.objects.none()

    monkeypatch.setattr(Alert.objects, "filter", saw_none_yet)
    assert alerts.raise_alert(Kind.STORAGE, cause="media").count == 2
    assert Alert.objects.count() == 1


def test_an_alert_is_seen_once_by_the_first_who_says_so(still: SetClock, olga: User, bob: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    assert alerts.acknowledge(alert_id=alert.pk, actor=olga)
    assert not alerts.acknowledge(alert_id=alert.pk, actor=bob)
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.acknowledged_at, alert.resolved_at) == (olga, still.at, None)


def test_every_severity_belongs_to_a_kind() -> None:
    assert set(alerts.SEVERITY) <= set(Kind)
