"""`GET /api/admin/cost-monitoring`: who may read it, and what it says, over the real address."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import decrypt
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from accounts.tokens import services as tokens
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.budgets import usage as budget_usage
from billing.costs import rollups, spend
from billing.models import Budget, Measure, Period, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.accounts import steps
from tests.billing.conftest import SetClock, browser_of
from tests.people import make_person

pytestmark = pytest.mark.django_db
ADDRESS = "/api/admin/cost-monitoring"

Json = dict[str, Any]


def secret_of(user: User) -> str:
    return tokens.create_token(user=user, name="grafana", scopes=[tokens.COST_READ]).secret


def ask(secret: str, **headers: str) -> Any:
    return Client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}", **headers})


def figures(user: User) -> Json:
    answer = ask(secret_of(user))
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal)  # type: ignore[no-any-return]


def refused(answer: Any) -> tuple[int, str]:
    """The status and the stable code; every refusal has words, and no cache keeps it."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"].endswith((".", "”."))
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, body["error"]["code"]


# Who may read it


def test_a_token_of_an_operator_reads_it(olga: User, account: ProviderAccount) -> None:
    answer = ask(secret_of(olga))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies
    assert answer.json()["kieCreditsBalance"] == 5000


def test_an_operator_s_session_reads_it_once_it_has_shown_its_second_factor(
    olga: User, settings: Settings, account: ProviderAccount
) -> None:
    settings.STAFF_MFA_REQUIRED = True
    assert refused(browser_of(olga).get(ADDRESS)) == (403, "second_factor_missing")
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


def test_strangers_and_customers_do_not(alice: User) -> None:
    answer = Client().get(ADDRESS)
    assert refused(answer) == (401, "not_signed_in")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert refused(browser_of(alice).get(ADDRESS)) == (403, "not_an_operator")
    assert refused(ask(secret_of(alice))) == (403, "not_an_operator")


def test_a_wrong_token_is_refused_even_beside_a_good_session(desk: Client) -> None:
    assert desk.get(ADDRESS).status_code == 200
    answer = desk.get(ADDRESS, headers={"Authorization": "Bearer veo_wrong"})
    assert refused(answer) == (401, "invalid_token")
    assert answer["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_disabled_operator_s_token_and_one_for_something_else_are_refused(olga: User) -> None:
    other = tokens.create_token(user=olga, name="other", scopes=[tokens.COST_READ])
    other.token.scopes = ["something:else"]
    other.token.save()
    assert refused(ask(other.secret)) == (403, "scope_missing")
    secret = secret_of(olga)
    user_actions.disable(user=olga, actor=None)
    assert refused(ask(secret)) == (401, "invalid_token")


def test_a_former_operator_s_token_is_refused(olga: User) -> None:
    secret = secret_of(olga)
    User.objects.filter(pk=olga.pk).update(is_staff=False)
    assert refused(ask(secret)) == (403, "not_an_operator")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_only_reading_is_answered(olga: User, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = getattr(client, method)(ADDRESS, headers={"Authorization": f"Bearer {secret_of(olga)}"})
    assert refused(answer) == (405, "method_not_allowed")
    assert refused(getattr(client, method)(ADDRESS)) == (405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD"


def test_who_guesses_is_told_when_to_come_back(olga: User, still: SetClock) -> None:
    secret = secret_of(olga)
    for _ in range(tokens.WRONG_TOKENS_BY_CLIENT.amount):
        assert refused(ask("veo_wrong")) == (401, "invalid_token")
    answer = ask(secret)
    assert refused(answer) == (429, "too_many_tries")
    assert answer["Retry-After"] == "60"
    still.sleep(60)
    assert ask(secret).status_code == 200


def test_refusals_speak_the_reader_s_language_and_codes_do_not(olga: User) -> None:
    english = Client().get(ADDRESS).json()["error"]
    chinese = Client().get(ADDRESS, headers={"Accept-Language": "zh-hans"}).json()["error"]
    assert english["code"] == chinese["code"]


# What it says


def test_a_new_site_says_zeros_and_no_balance(olga: User, settings: Settings) -> None:
    said = figures(olga)
    nothing = {"tasksCount": 0, "estimatedCost": 0, "actualCost": 0, "settledEstimate": 0}
    assert said["today"] == said["thisHour"] == said["thisMonth"] == nothing
    assert (said["kieCreditsBalance"], said["balanceReadAt"], said["available"]) == (None, None, None)
    assert said["alerts"] == []
    assert said["generation"]["state"] == "working"
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    said = figures_again(olga)
    assert said["generation"] == {"state": "no_key"}
    assert said["kieCreditsBalance"] is None


def figures_again(user: User) -> Json:
    tokens.revoke_token(token_id=user.api_tokens.latest("pk").pk, actor=None)
    return figures(user)


def test_every_window_sums_what_was_ordered_in_it(
    olga: User, account: ProviderAccount, still: SetClock, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"

    def job(hours_ago: int, estimated: str, actual: str | None = None) -> None:
        known = [(Measure.SETTLED_ESTIMATE, Decimal(estimated)), (Measure.ACTUAL, Decimal(actual))] if actual else []
        rollups.record_counts(
            ordered_at=still.at - timedelta(hours=hours_ago),
            model="veo3_fast",
            user_id=olga.pk,
            counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(estimated)), *known],
        )

    still.at += timedelta(days=13)
    job(0, "60")
    job(0, "37.5", "30.25")
    job(3, "250", "250")
    job(13, "60", "0.0001")  # yesterday
    job(15 * 24, "1000", "1000")  # last month
    expected = {
        "thisHour": {"tasksCount": 2, "estimatedCost": Decimal("97.5"), "actualCost": Decimal("30.25")},
        "today": {"tasksCount": 3, "estimatedCost": Decimal("347.5"), "actualCost": Decimal("280.25")},
        "thisMonth": {"tasksCount": 4, "estimatedCost": Decimal("407.5"), "actualCost": Decimal("280.2501")},
    }
    settled = {"thisHour": Decimal("37.5"), "today": Decimal("287.5"), "thisMonth": Decimal("347.5")}
    for fold in (False, True):
        if fold:
            rollups.fold_marks()
        said = figures(olga) if not fold else figures_again(olga)
        for name, sums in expected.items():
            assert said[name] == {**sums, "settledEstimate": settled[name]}, (name, fold)


def test_balance_promises_and_forecast(
    olga: User, account: ProviderAccount, new_spend: Callable[..., Spend], still: SetClock
) -> None:
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal("2500.5"))
    job = new_spend()
    spend.promise(spend=job, account=account)
    said = figures(olga)
    assert said["kieCreditsBalance"] == Decimal("2500.5")
    assert said["available"] == Decimal("2440.5")
    assert said["balanceReadAt"] == "2026-09-01T12:00:00+00:00"
    assert (said["lowBalanceThreshold"], said["criticalBalanceThreshold"]) == (1000, 500)
    assert said["generatedAt"] == "2026-09-01T12:00:00+00:00"


def test_a_forecast_says_when_the_balance_is_critical(olga: User, account: ProviderAccount, still: SetClock) -> None:
    assert figures(olga)["balanceCriticalAt"] is None
    for hours in range(1, 25):
        at = still.at - timedelta(hours=hours)
        rollups.record_counts(ordered_at=at, model="m", user_id=1, counts=[(Measure.ESTIMATED, Decimal(1000))])
    soon = datetime.fromisoformat(figures_again(olga)["balanceCriticalAt"])
    assert timedelta(hours=4) < soon - still.at < timedelta(hours=5)


def test_limits_say_what_is_used_of_them_and_when_they_begin_anew(
    olga: User, account: ProviderAccount, new_spend: Callable[..., Spend], still: SetClock, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    limits.set_limit(subject=Budget.Subject.ALL, period=Period.HOUR, limit=Decimal(75), actor=olga)
    limits.set_limit(subject=Budget.Subject.MODEL, period=Period.DAY, limit=Decimal(60), model="veo3_fast", actor=olga)
    spend.promise(spend=new_spend(), account=account)
    said = {(one["scope"], one["period"]): one for one in figures(olga)["limits"]}
    hour = said["all", "hour"]
    assert (hour["used"], hour["limit"], hour["left"], hour["softShare"]) == (60, 75, 15, Decimal("0.8"))
    # Nothing is sold for 15.
    assert (hour["isSoft"], hour["isSpent"], hour["resetsAt"]) == (True, True, "2026-09-01T13:00:00+00:00")
    assert said["all", "month"]["resetsAt"] == "2026-10-01T00:00:00+00:00"
    model = said["model:veo3_fast", "day"]
    assert (model["isSpent"], model["left"], model["spentAt"]) == (True, 0, None)
    assert len(said) == len(budget_usage.list_states(still.at))


def test_it_says_why_nothing_is_generated(olga: User, account: ProviderAccount, still: SetClock) -> None:
    def generation() -> Json:
        return figures_again(olga)["generation"]  # type: ignore[no-any-return]

    assert figures(olga)["generation"] == {"state": "working", "account": "kie.ai", "breaker": "closed"}
    until = still.at + timedelta(hours=1)
    provider_accounts.pause_account(
        account_id=account.pk, actor=None, code=ProviderAccount.Pause.UNUSUAL_SPEND, reason="801 of 200", until=until
    )
    paused = generation()
    assert (paused["state"], paused["code"], paused["until"]) == (
        "paused",
        "unusual_spend",
        "2026-09-01T13:00:00+00:00",
    )
    assert "more is being spent than usual" in paused["reason"]
    provider_accounts.resume_account(account_id=account.pk)
    rows = ProviderAccount.objects.filter(pk=account.pk)
    rows.update(breaker="open", breaker_until=until)
    broken = generation()
    assert (broken["state"], broken["until"], broken["rested"]) == ("breaker", "2026-09-01T13:00:00+00:00", False)
    rows.update(breaker_until=still.at)
    assert (generation()["state"], generation()["rested"]) == ("breaker", True)
    rows.update(balance=400)
    assert generation()["state"] == "critical_balance"
    rows.update(parked_as="out_of_credits", parked_at=still.at)
    assert (generation()["state"], generation()["code"]) == ("parked", "out_of_credits")


def test_open_alerts_are_listed_and_ended_ones_are_not(olga: User, account: ProviderAccount, still: SetClock) -> None:
    alerts.raise_alert(alerts.Kind.LOW_BALANCE, cause="a", detail="balance 900")
    still.sleep(60)
    alerts.raise_alert(alerts.Kind.LOW_BALANCE, cause="a", detail="balance 800")
    alerts.raise_alert(alerts.Kind.BOOKS, cause="b")
    alerts.resolve_alerts(alerts.Kind.BOOKS)
    assert figures(olga)["alerts"] == [
        {
            "kind": "low_balance",
            "severity": "warning",
            "title": "Provider balance is low",
            "detail": "balance 800",
            "count": 2,
            "since": "2026-09-01T12:00:00+00:00",
            "lastAt": "2026-09-01T12:01:00+00:00",
            "acknowledged": False,
        }
    ]


def test_however_much_there_is_it_takes_at_most_twelve_queries(
    olga: User, desk: Client, account: ProviderAccount, settings: Settings
) -> None:
    for number in range(30):
        user = make_person(f"u{number}@example.com")
        limits.set_limit(subject=Budget.Subject.USER, period=Period.DAY, limit=Decimal(100), user=user, actor=olga)
        alerts.raise_alert(alerts.Kind.USER_BURST, cause=f"user {user.pk}")
        rollups.record_counts(
            ordered_at=account.created_at, model=f"m{number}", user_id=user.pk, counts=[(Measure.ESTIMATED, Decimal(1))]
        )
    secret = secret_of(olga)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert ask(secret).status_code == 200
    assert len(queries) <= 12, "\n".join(query["sql"][:150] for query in queries)
    desk.get(ADDRESS)
    with CaptureQueriesContext(connection) as queries:
        assert len(desk.get(ADDRESS).json()["limits"]) >= 30
    assert len(queries) <= 12, "\n".join(query["sql"][:150] for query in queries)
