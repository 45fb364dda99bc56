"""API tokens: shown once, stored as a hash, valid only for an active owner, and never logged."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from accounts import rate_limits, user_actions
from accounts.models import ApiToken, User
from accounts.seams import clock
from accounts.tokens import services as tokens
from accounts.tokens.secret import mask_tokens
from tests.accounts import steps
from tests.clocks import ManualClock
from tests.people import make_person
from veoapp.logs import SecretMaskingFormatter

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/apitoken/"


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    replacement = ManualClock()
    with clock.replaced(replacement):
        yield replacement


@pytest.fixture
def operator(olga: User, settings: Settings) -> Client:
    """Olga's browser, signed in to the admin, with the password entered for the token form."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    steps.reauthenticate(client, f"{LIST}add/")
    return client


def create(user: User, **fields: object) -> tokens.NewToken:
    return tokens.create_token(user=user, **{"name": "grafana", "scopes": [tokens.COST_READ], **fields})  # type: ignore[arg-type]


def authenticate(
    secret: str, *, scope: str = tokens.COST_READ, header: str = "Bearer {}", ip: str = "203.0.113.7"
) -> User:
    request = RequestFactory().get("/", headers={"Authorization": header.format(secret)}, REMOTE_ADDR=ip)
    return tokens.authenticate(request, scope=scope)


# Creating and using


def test_a_token_authenticates_its_owner_and_only_its_hash_is_stored(olga: User) -> None:
    new_token = create(olga)
    assert re.fullmatch(r"veo_[A-Za-z0-9_-]{43}", new_token.secret)
    assert authenticate(new_token.secret) == olga
    assert authenticate(new_token.secret, header="bearer  {} ") == olga
    row = ApiToken.objects.values().get()
    assert row["prefix"] == new_token.secret[:12]
    assert new_token.secret not in str(row)
    assert new_token.secret not in repr(new_token)
    assert str(new_token.token) == f"{new_token.secret[:12]}… grafana"


@pytest.mark.parametrize("header", ["", "{}", "Basic {}", "Token {}", "Bearer", "Bearer x{}", "Bearer {}x"])
def test_any_other_authorization_header_is_refused(olga: User, header: str) -> None:
    with pytest.raises(tokens.TokenRefused) as refused:
        authenticate(create(olga).secret, header=header)
    assert refused.value.code == "invalid_token"


def test_expired_and_revoked_tokens_and_tokens_of_disabled_users_are_refused(
    olga: User, manual_clock: ManualClock
) -> None:
    expiring = create(olga, expires_at=manual_clock.at + timedelta(days=1))
    revoked, usable = create(olga), create(olga)
    assert tokens.revoke_token(token_id=revoked.token.pk, actor=olga)
    assert not tokens.revoke_token(token_id=revoked.token.pk, actor=None)
    assert authenticate(expiring.secret) == olga
    manual_clock.sleep(86400)
    for secret in (expiring.secret, revoked.secret):
        with pytest.raises(tokens.TokenRefused):
            authenticate(secret)
    assert authenticate(usable.secret) == olga
    user_actions.disable(user=olga, actor=None)
    with pytest.raises(tokens.TokenRefused):
        authenticate(usable.secret)


def test_a_token_without_the_scope_is_refused(olga: User) -> None:
    with pytest.raises(tokens.ScopeMissing):
        authenticate(create(olga).secret, scope="videos:write")


def test_the_last_use_is_written_at_most_once_a_minute(olga: User, manual_clock: ManualClock) -> None:
    new_token = create(olga)
    times = []
    for seconds in (0, 59, 1):
        manual_clock.sleep(seconds)
        authenticate(new_token.secret)
        times.append(ApiToken.objects.get().last_used_at)
    start = datetime(2026, 9, 1, 12, tzinfo=UTC)
    assert times == [start, start, start + timedelta(seconds=60)]


def test_a_client_with_too_many_wrong_tokens_is_refused_for_a_minute(olga: User, manual_clock: ManualClock) -> None:
    secret = create(olga).secret
    for _ in range(rate_limits.WRONG_API_TOKENS.amount):
        with pytest.raises(tokens.TokenRefused):
            authenticate("veo_wrong")
    with pytest.raises(tokens.TooManyAttempts) as refused:
        authenticate(secret)
    assert (refused.value.code, refused.value.retry_after_s) == ("too_many_tries", 60)
    assert authenticate(secret, ip="203.0.113.8") == olga
    manual_clock.sleep(60)
    assert authenticate(secret) == olga


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "  "}, "name"),
        ({"name": "n" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["cost:read", "everything"]}, "scopes"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expire"),
    ],
)
def test_a_token_with_invalid_fields_is_not_created(olga: User, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(olga, **fields)
    assert not ApiToken.objects.exists()


def test_closing_an_account_deletes_its_tokens_and_allows_no_new_ones(alice: User) -> None:
    create(alice)
    user_actions.close_account(user=alice, actor=None)
    assert not ApiToken.objects.exists()
    alice.refresh_from_db()
    with pytest.raises(ValueError, match="disabled or closed"):
        create(alice)


def test_no_log_line_shows_a_token(olga: User) -> None:
    secret = create(olga).secret
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "Not Found: /?token=%s and %s.", (secret, secret), None)
    line = SecretMaskingFormatter("{message}", style="{").format(record)
    assert line == f"Not Found: /?token={secret[:12]}*** and {secret[:12]}***."
    assert mask_tokens("veo_fast veo3_fast video:veo_short") == "veo_fast veo3_fast video:veo_short"


# The command


def run_command(*arguments: str, **options: object) -> tuple[str, str]:
    """Run the command; returns its standard output and standard error."""
    output, errors = StringIO(), StringIO()
    call_command("create_api_token", *arguments, stdout=output, stderr=errors, **options)
    return output.getvalue().strip(), errors.getvalue()


def test_the_command_prints_only_the_secret_on_standard_output(olga: User, manual_clock: ManualClock) -> None:
    secret, message = run_command("Olga@Example.com", name="nagios", days=30)
    assert authenticate(secret) == olga
    token = ApiToken.objects.get()
    assert (token.name, token.scopes, token.expires_at) == (
        "nagios",
        ["cost:read"],
        manual_clock.at + timedelta(days=30),
    )
    assert message == (
        "Created for olga@example.com: cost:read, expires 2026-10-01 12:00 UTC. Store it now: it is not shown again.\n"
    )


def test_the_command_creates_a_token_without_expiry_and_warns_about_an_owner_who_is_no_operator(alice: User) -> None:
    secret, message = run_command(alice.email, "--scope", "cost:read", "--days", "0")
    assert authenticate(secret) == alice
    assert "does not expire" in message
    assert "alice@example.com is not an operator" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody@example.com"], "No user has the address"),
        (["olga@example.com", "--days", "-1"], "must be 1 to 3650"),
        (["olga@example.com", "--days", "9999"], "must be 1 to 3650"),
        (["olga@example.com", "--name", " "], "No token was created: a token needs a name"),
        (["olga@example.com", "--scope", "root"], "invalid choice"),
    ],
)
def test_the_command_explains_invalid_arguments(olga: User, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run_command(*arguments)
    assert not ApiToken.objects.exists()


# The admin pages


def submit_form(operator: Client, **form: object) -> str:
    return operator.post(f"{LIST}add/", {"name": "grafana", "scopes": ["cost:read"], "days": "90", **form}).text


def test_an_operator_creates_a_token_and_sees_it_once(operator: Client, olga: User) -> None:
    assert "within the permissions chosen here" in operator.get(f"{LIST}add/").text
    response = operator.post(f"{LIST}add/", {"name": "grafana", "scopes": ["cost:read"], "days": "90"})
    assert "no-store" in response["Cache-Control"]
    secret = re.search(r'value="(veo_[A-Za-z0-9_-]{43})"', response.text)
    assert secret is not None
    assert authenticate(secret[1]) == olga
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - clock.now() <= timedelta(days=90)
    list_page = operator.get(LIST).text
    assert secret[1] not in list_page
    assert secret[1][:12] in list_page
    assert LogEntry.objects.get().change_message == "created: cost:read"


def test_a_form_sent_twice_creates_one_token(operator: Client, olga: User) -> None:
    assert "Copy it now" in submit_form(operator, days="0")
    assert "You already have a token with this name" in submit_form(operator, days="0")
    token = ApiToken.objects.get()
    assert token.expires_at is None
    tokens.revoke_token(token_id=token.pk, actor=olga)
    assert "Copy it now" in submit_form(operator)


@pytest.mark.parametrize("form", [{"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"days": "7000"}])
def test_an_invalid_form_creates_nothing(operator: Client, form: dict[str, object]) -> None:
    assert "errorlist" in submit_form(operator, **form)
    assert not ApiToken.objects.exists()


def test_creating_a_token_asks_for_the_password_again(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    response = client.get(f"{LIST}add/")
    assert response.status_code == 302
    assert "reauthenticate" in response["Location"]
    client.post(f"{LIST}add/", {"name": "x", "scopes": ["cost:read"], "days": "90"})
    assert not ApiToken.objects.exists()


def test_revoking_asks_for_confirmation_and_then_refuses_the_token(operator: Client, olga: User) -> None:
    new_token = create(olga)
    form = {"action": "revoke", "_selected_action": [new_token.token.pk]}
    assert "refused from now on" in operator.post(LIST, form).text
    assert authenticate(new_token.secret) == olga
    assert "Revoked: " in operator.post(LIST, {**form, "confirmed": "yes"}, follow=True).text
    with pytest.raises(tokens.TokenRefused):
        authenticate(new_token.secret)
    assert "These tokens are already revoked" in operator.post(LIST, {**form, "confirmed": "yes"}, follow=True).text


def test_the_list_shows_the_state_of_each_token(
    operator: Client, olga: User, alice: User, manual_clock: ManualClock
) -> None:
    create(olga, name="active")
    create(alice, name="of a disabled owner")
    create(olga, name="expired", expires_at=manual_clock.at + timedelta(days=1))
    tokens.revoke_token(token_id=create(olga, name="revoked").token.pk, actor=olga)
    user_actions.disable(user=alice, actor=None)
    manual_clock.sleep(2 * 86400)
    text = operator.get(LIST).text
    for state in ("Active", "Owner disabled", "Expired", "Revoked"):
        assert f">{state}<" in text
    token = ApiToken.objects.filter(name="active").get()
    page = operator.get(f"{LIST}{token.pk}/change/").text
    assert token.digest not in page
    assert 'name="_save"' not in page


def test_an_operator_with_few_rights_sees_only_their_own_tokens(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    clerk = make_person("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_apitoken"]))
    create(olga, name="token of olga")
    create(clerk, name="token of the clerk")
    client = Client()
    client.force_login(clerk)
    text = client.get(LIST).text
    assert "token of the clerk" in text
    assert "token of olga" not in text
    assert client.get(f"{LIST}add/").status_code == 403
