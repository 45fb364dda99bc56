"""Alerts about single jobs: one by one while they are few, one for all others when they are many, and none is lost."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import grouping as alert_grouping
from billing.alerts import runbook
from billing.alerts import services as alerts
from billing.alerts.grouping import MAX_SEPARATE
from billing.models import Alert, AlertDelivery, GatheredCause
from tests.billing.conftest import SetClock
from tests.billing.racing import PROCESSES, race

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


def tell(*jobs: int, kind: Alert.Kind = Kind.UNCONFIRMED) -> None:
    for job in jobs:
        alert_grouping.raise_job_alert(kind, reference=f"job:{job}", detail=f"trouble of {job}")


def over(*jobs: int, kind: Alert.Kind = Kind.UNCONFIRMED) -> None:
    for job in jobs:
        alert_grouping.resolve_job_alerts([kind], reference=f"job:{job}")


def alone() -> list[str]:
    return list(Alert.objects.filter(resolved_at=None).exclude(cause="").order_by("id").values_list("cause", flat=True))


def crowd() -> int:
    """How many the one for all says there are; 0 when it is over or never was."""
    found = Alert.objects.filter(cause="", resolved_at=None).first()
    return found.facts["videos"] if found else 0


def test_few_are_told_of_one_by_one(still: SetClock) -> None:
    tell(*range(MAX_SEPARATE))
    tell(3)
    assert alone() == [f"job:{n}" for n in range(MAX_SEPARATE)]
    assert Alert.objects.get(cause="job:3").count == 2
    assert (crowd(), GatheredCause.objects.count()) == (0, 0)


def test_three_hundred_are_eleven_alerts_and_eleven_posts(still: SetClock, settings: Settings) -> None:
    settings.ALERT_WEBHOOK_URL = "https://hook.example/x"
    for _ in range(2):
        tell(*range(300))
    assert len(alone()) == MAX_SEPARATE
    assert AlertDelivery.objects.count() == MAX_SEPARATE + 1
    assert crowd() == 290
    many = Alert.objects.get(cause="")
    assert many.detail == "More videos of which the same is true: 290. The page of each says it."
    assert many.severity == "warning"
    assert runbook.describe_subject(many) == ""
    assert runbook.action_path(many) == "/admin/videos/videotask/"
    assert str(GatheredCause.objects.get(reference="job:299")) == "unconfirmed job:299"


def test_another_kind_has_a_crowd_of_its_own(still: SetClock) -> None:
    tell(*range(11))
    tell(*range(11), kind=Kind.POSSIBLE_SPEND)
    over(10)
    assert not Alert.objects.filter(kind="unconfirmed", cause="", resolved_at=None).exists()
    assert crowd() == 1


def test_it_counts_down_and_ends_with_the_last_one(still: SetClock) -> None:
    tell(*range(13))
    over(0, 10, 99)
    assert crowd() == 2
    over(11)
    assert crowd() == 1
    over(12)
    assert crowd() == 0
    assert len(alone()) == MAX_SEPARATE - 1
    assert GatheredCause.objects.filter(ended_at=None).count() == 0
    tell(10)
    assert "job:10" in alone(), "there is room for it now"


def test_who_is_in_the_crowd_stays_there_until_it_is_over(still: SetClock) -> None:
    tell(*range(12))
    over(0)
    tell(11)
    assert "job:11" not in alone()
    assert crowd() == 2
    over(11)
    tell(20, 11)
    assert alone()[-1] == "job:20"
    assert crowd() == 2


def test_the_next_day_s_entry_goes_on_with_all_of_them(still: SetClock) -> None:
    tell(*range(15))
    still.sleep(timedelta(days=1).total_seconds())
    tell(15)
    assert crowd() == 6
    assert Alert.objects.filter(cause="").count() == 2


def test_a_person_who_ends_it_ends_it_for_all(still: SetClock, olga: User) -> None:
    tell(*range(12), kind=Kind.POSSIBLE_SPEND)
    tell(*range(11))
    assert alerts.resolve_by_hand(alert_id=Alert.objects.get(kind="possible_spend", cause="").pk, actor=olga)
    assert crowd() == 1, "that of another kind"
    tell(12, kind=Kind.POSSIBLE_SPEND)
    assert Alert.objects.get(kind="possible_spend", cause="").facts["videos"] == 1


def test_one_job_may_have_several_causes(still: SetClock) -> None:
    alert_grouping.raise_job_alert(Kind.ODD_ANSWER, reference="job:1")
    alert_grouping.raise_job_alert(Kind.ODD_ANSWER, reference="job:1", cause="callback of job:1")
    assert alone() == ["job:1", "callback of job:1"]
    over(1, kind=Kind.ODD_ANSWER)
    assert alone() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_processes_lose_none_and_count_right(process_environment: dict[str, str]) -> None:
    told, ended = zip(*race("tests.billing.crowd", "{n}", "30", environment=process_environment), strict=True)
    gathered = GatheredCause.objects.all()
    assert (sum(told), sum(ended)) == (PROCESSES * 30, PROCESSES * 5)
    assert gathered.count() + Alert.objects.exclude(cause="").count() == sum(told)
    assert crowd() == gathered.filter(ended_at=None).count()
    assert crowd() + len(alone()) == sum(told) - sum(ended)
    assert Alert.objects.filter(cause="", resolved_at=None).count() == 1
    # Whoever looks in one moment sees the same room, and each may take it.
    assert len(alone()) < MAX_SEPARATE + PROCESSES
