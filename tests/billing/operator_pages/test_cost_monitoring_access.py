"""Who may read `GET /api/admin/cost-monitoring`."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import decrypt
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import rate_limits, user_actions
from accounts.models import User
from accounts.tokens import services as tokens
from billing.models import ProviderAccount
from tests.accounts import steps
from tests.billing.conftest import browser_of
from tests.billing.operator_pages.cost_monitoring_client import ADDRESS, create_secret, get_with_token
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


def read_refusal(response: Any) -> tuple[int, str]:
    """Return the status and the code; every refusal has a message and is never cached."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"].endswith((".", "”."))
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    return response.status_code, body["error"]["code"]


def test_an_operators_token_is_admitted(olga: User, account: ProviderAccount) -> None:
    response = get_with_token(create_secret(olga))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies
    assert response.json()["kieCreditsBalance"] == 5000


def test_an_operators_session_is_admitted_after_its_second_factor(
    olga: User, settings: Settings, account: ProviderAccount
) -> None:
    settings.STAFF_MFA_REQUIRED = True
    assert read_refusal(browser_of(olga).get(ADDRESS)) == (403, "second_factor_missing")
    browser = Client()
    steps.sign_in(browser, olga.email)
    secret = totp_secret(olga)
    browser.post("/accounts/2fa/authenticate/", {"code": steps.totp_code(secret)})
    assert browser.get(ADDRESS).status_code == 200
    assert browser.head(ADDRESS).status_code == 200
    settings.STAFF_MFA_REQUIRED = False
    assert browser_of(olga).get(ADDRESS).status_code == 200


def totp_secret(user: User) -> str:
    return str(decrypt(Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP).data["secret"]))


def test_anonymous_visitors_and_customers_are_refused(alice: User) -> None:
    response = Client().get(ADDRESS)
    assert read_refusal(response) == (401, "not_signed_in")
    assert response["WWW-Authenticate"] == "Bearer"
    assert read_refusal(browser_of(alice).get(ADDRESS)) == (403, "not_an_operator")
    assert read_refusal(get_with_token(create_secret(alice))) == (403, "not_an_operator")


def test_a_wrong_token_is_refused_even_with_a_valid_session(staff: Client) -> None:
    assert staff.get(ADDRESS).status_code == 200
    response = staff.get(ADDRESS, headers={"Authorization": "Bearer veo_wrong"})
    assert read_refusal(response) == (401, "invalid_token")
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_tokens_of_disabled_operators_or_without_the_scope_are_refused(olga: User) -> None:
    other = tokens.create_token(user=olga, name="other", scopes=[tokens.COST_READ])
    other.token.scopes = ["something:else"]
    other.token.save()
    assert read_refusal(get_with_token(other.secret)) == (403, "scope_missing")
    secret = create_secret(olga)
    user_actions.disable(user=olga, actor=None)
    assert read_refusal(get_with_token(secret)) == (401, "invalid_token")


def test_a_former_operators_token_is_refused(olga: User) -> None:
    secret = create_secret(olga)
    User.objects.filter(pk=olga.pk).update(is_staff=False)
    assert read_refusal(get_with_token(secret)) == (403, "not_an_operator")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_only_get_and_head_are_allowed(olga: User, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    response = getattr(client, method)(ADDRESS, headers={"Authorization": f"Bearer {create_secret(olga)}"})
    assert read_refusal(response) == (405, "method_not_allowed")
    assert read_refusal(getattr(client, method)(ADDRESS)) == (405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"


def test_after_too_many_wrong_tokens_the_retry_time_is_returned(olga: User, manual_clock: ManualClock) -> None:
    secret = create_secret(olga)
    for _ in range(rate_limits.WRONG_API_TOKENS.amount):
        assert read_refusal(get_with_token("veo_wrong")) == (401, "invalid_token")
    response = get_with_token(secret)
    assert read_refusal(response) == (429, "too_many_tries")
    assert response["Retry-After"] == "60"
    manual_clock.sleep(60)
    assert get_with_token(secret).status_code == 200


def test_error_messages_are_translated_and_codes_are_not(olga: User) -> None:
    english = Client().get(ADDRESS).json()["error"]
    chinese = Client().get(ADDRESS, headers={"Accept-Language": "zh-hans"}).json()["error"]
    assert english["code"] == chinese["code"]
