"""Alerts about single jobs: separate up to a maximum, then grouped, and no job is lost."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import grouping as alert_grouping
from billing.alerts import runbook
from billing.alerts import services as alerts
from billing.alerts.grouping import MAX_SEPARATE
from billing.models import Alert, AlertDelivery, GroupedJob
from tests.billing.racing import PROCESSES, race
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


def raise_alerts(*jobs: int, kind: Alert.Kind = Kind.UNCONFIRMED) -> None:
    for job in jobs:
        alert_grouping.raise_job_alert(kind, reference=f"job:{job}", detail=f"problem of {job}")


def resolve_alerts_of(*jobs: int, kind: Alert.Kind = Kind.UNCONFIRMED) -> None:
    for job in jobs:
        alert_grouping.resolve_job_alerts([kind], reference=f"job:{job}")


def separate_causes() -> list[str]:
    return list(Alert.objects.filter(resolved_at=None).exclude(cause="").order_by("id").values_list("cause", flat=True))


def grouped_count() -> int:
    """The number of jobs in the open grouped alert; 0 without one."""
    group = Alert.objects.filter(cause="", resolved_at=None).first()
    return group.facts["videos"] if group else 0


def test_few_jobs_have_separate_alerts(manual_clock: ManualClock) -> None:
    raise_alerts(*range(MAX_SEPARATE))
    raise_alerts(3)
    assert separate_causes() == [f"job:{n}" for n in range(MAX_SEPARATE)]
    assert Alert.objects.get(cause="job:3").count == 2
    assert (grouped_count(), GroupedJob.objects.count()) == (0, 0)


def test_three_hundred_jobs_make_eleven_alerts_and_eleven_deliveries(
    manual_clock: ManualClock, settings: Settings
) -> None:
    settings.ALERT_WEBHOOK_URL = "https://hook.example/x"
    for _ in range(2):
        raise_alerts(*range(300))
    assert len(separate_causes()) == MAX_SEPARATE
    assert AlertDelivery.objects.count() == MAX_SEPARATE + 1
    assert grouped_count() == 290
    group = Alert.objects.get(cause="")
    assert group.detail == "More videos with the same problem: 290. Details are on each video's page."
    assert group.severity == "warning"
    assert runbook.describe_subject(group) == ""
    assert runbook.action_path(group) == "/admin/videos/videotask/"
    assert str(GroupedJob.objects.get(reference="job:299")) == "unconfirmed job:299"


def test_each_kind_has_its_own_group(manual_clock: ManualClock) -> None:
    raise_alerts(*range(11))
    raise_alerts(*range(11), kind=Kind.POSSIBLE_SPEND)
    resolve_alerts_of(10)
    assert not Alert.objects.filter(kind="unconfirmed", cause="", resolved_at=None).exists()
    assert grouped_count() == 1


def test_the_grouped_alert_counts_its_open_jobs_and_is_resolved_with_the_last(manual_clock: ManualClock) -> None:
    raise_alerts(*range(13))
    resolve_alerts_of(0, 10, 99)
    assert grouped_count() == 2
    resolve_alerts_of(11)
    assert grouped_count() == 1
    resolve_alerts_of(12)
    assert grouped_count() == 0
    assert len(separate_causes()) == MAX_SEPARATE - 1
    assert GroupedJob.objects.filter(ended_at=None).count() == 0
    raise_alerts(10)
    assert "job:10" in separate_causes(), "fewer than MAX_SEPARATE alerts are open"


def test_a_grouped_job_stays_grouped_until_it_is_resolved(manual_clock: ManualClock) -> None:
    raise_alerts(*range(12))
    resolve_alerts_of(0)
    raise_alerts(11)
    assert "job:11" not in separate_causes()
    assert grouped_count() == 2
    resolve_alerts_of(11)
    raise_alerts(20, 11)
    assert separate_causes()[-1] == "job:20"
    assert grouped_count() == 2


def test_the_next_day_s_entry_continues_the_group(manual_clock: ManualClock) -> None:
    raise_alerts(*range(15))
    manual_clock.sleep(timedelta(days=1).total_seconds())
    raise_alerts(15)
    assert grouped_count() == 6
    assert Alert.objects.filter(cause="").count() == 2


def test_resolving_the_group_by_hand_resolves_all_jobs(manual_clock: ManualClock, olga: User) -> None:
    raise_alerts(*range(12), kind=Kind.POSSIBLE_SPEND)
    raise_alerts(*range(11))
    assert alerts.resolve_by_hand(alert_id=Alert.objects.get(kind="possible_spend", cause="").pk, actor=olga)
    assert grouped_count() == 1, "the group of the other kind"
    raise_alerts(12, kind=Kind.POSSIBLE_SPEND)
    assert Alert.objects.get(kind="possible_spend", cause="").facts["videos"] == 1


def test_one_job_may_have_several_causes(manual_clock: ManualClock) -> None:
    alert_grouping.raise_job_alert(Kind.ODD_ANSWER, reference="job:1")
    alert_grouping.raise_job_alert(Kind.ODD_ANSWER, reference="job:1", cause="callback of job:1")
    assert separate_causes() == ["job:1", "callback of job:1"]
    resolve_alerts_of(1, kind=Kind.ODD_ANSWER)
    assert separate_causes() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_processes_group_jobs_without_losing_any(process_environment: dict[str, str]) -> None:
    raised, resolved = zip(
        *race("tests.billing.race_grouping", "{n}", "30", environment=process_environment), strict=True
    )
    grouped = GroupedJob.objects.all()
    assert (sum(raised), sum(resolved)) == (PROCESSES * 30, PROCESSES * 5)
    assert grouped.count() + Alert.objects.exclude(cause="").count() == sum(raised)
    assert grouped_count() == grouped.filter(ended_at=None).count()
    assert grouped_count() + len(separate_causes()) == sum(raised) - sum(resolved)
    assert Alert.objects.filter(cause="", resolved_at=None).count() == 1
    # Each process may add one more than MAX_SEPARATE, because they count at the same time.
    assert len(separate_causes()) < MAX_SEPARATE + PROCESSES
