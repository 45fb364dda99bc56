"""The first page tells alerts of one kind apart, and credits that came from credits that are gone."""

from decimal import Decimal

import pytest
from django.test import Client

from billing.alerts import services as alerts
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts

pytestmark = pytest.mark.django_db


def test_alerts_of_one_kind_say_what_each_is_of(desk: Client) -> None:
    for item in ("veo3_lite 720p generate", "veo3_fast 4k generate"):
        alerts.raise_alert(alerts.Kind.PRICE_CHANGED, cause=item)
    alerts.raise_alert(
        alerts.Kind.UNUSUAL_SPEND, cause=f"provider account {provider_accounts.get_current_account().pk}"
    )
    page = desk.get("/admin/").text
    for item in ("Veo 3.1 Lite 720p · Video from text or frames", "Veo 3.1 Fast 4k · Video from text or frames"):
        assert f'alert-about">{item}</span>' in page
    assert page.count("alert-about") == 2


@pytest.mark.parametrize(("amount", "tone"), [("-12.5", "text-bad"), ("12.5", "text-warn"), ("4", "")])
def test_credits_that_came_are_no_alarm(desk: Client, amount: str, tone: str) -> None:
    provider_accounts.get_current_account()
    ProviderAccount.objects.update(unexplained=Decimal(amount))
    page = desk.get("/admin/").text
    shown = amount.replace("-", "−")
    assert f'<p class="figure-value{" " if tone else ""}{tone}">{shown}</p>' in page
