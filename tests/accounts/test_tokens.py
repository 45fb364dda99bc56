"""Tokens for programs: shown once, kept as a digest, bound to a living owner, and never written down."""

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

from accounts import user_actions
from accounts.models import ApiToken, User
from accounts.seams import clock
from accounts.tokens import services as tokens
from accounts.tokens.secret import mask_tokens
from tests.accounts import doorway
from tests.clocks import ManualClock
from tests.people import make_person
from veoapp.logs import SecretMaskingFormatter

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/apitoken/"


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    manual = ManualClock()
    with clock.replaced(manual):
        yield manual


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser, inside the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    doorway.prove(client, f"{LIST}add/")
    return client


def make(user: User, **how: object) -> tokens.NewToken:
    return tokens.create_token(user=user, **{"name": "grafana", "scopes": [tokens.COST_READ], **how})  # type: ignore[arg-type]


def let_in(secret: str, *, scope: str = tokens.COST_READ, header: str = "Bearer {}", ip: str = "203.0.113.7") -> User:
    request = RequestFactory().get("/", headers={"Authorization": header.format(secret)}, REMOTE_ADDR=ip)
    return tokens.authenticate(request, scope=scope)


# Making and using


def test_a_token_lets_its_owner_in_and_only_its_digest_is_kept(olga: User) -> None:
    made = make(olga)
    assert re.fullmatch(r"veo_[A-Za-z0-9_-]{43}", made.secret)
    assert let_in(made.secret) == olga
    assert let_in(made.secret, header="bearer  {} ") == olga
    row = ApiToken.objects.values().get()
    assert row["prefix"] == made.secret[:12]
    assert made.secret not in str(row)
    assert made.secret not in repr(made)
    assert str(made.token) == f"{made.secret[:12]}… grafana"


@pytest.mark.parametrize("header", ["", "{}", "Basic {}", "Token {}", "Bearer", "Bearer x{}", "Bearer {}x"])
def test_anything_else_lets_nobody_in(olga: User, header: str) -> None:
    with pytest.raises(tokens.TokenRefused) as refused:
        let_in(make(olga).secret, header=header)
    assert refused.value.code == "invalid_token"


def test_expired_revoked_and_ownerless_tokens_let_nobody_in(olga: User, manual_clock: ManualClock) -> None:
    short = make(olga, expires_at=manual_clock.at + timedelta(days=1))
    gone, owned = make(olga), make(olga)
    assert tokens.revoke_token(token_id=gone.token.pk, actor=olga)
    assert not tokens.revoke_token(token_id=gone.token.pk, actor=None)
    assert let_in(short.secret) == olga
    manual_clock.sleep(86400)
    for secret in (short.secret, gone.secret):
        with pytest.raises(tokens.TokenRefused):
            let_in(secret)
    assert let_in(owned.secret) == olga
    user_actions.disable(user=olga, actor=None)
    with pytest.raises(tokens.TokenRefused):
        let_in(owned.secret)


def test_a_scope_that_it_was_not_made_for_is_refused(olga: User) -> None:
    with pytest.raises(tokens.ScopeMissing):
        let_in(make(olga).secret, scope="videos:write")


def test_its_last_use_is_written_at_most_once_a_minute(olga: User, manual_clock: ManualClock) -> None:
    made = make(olga)
    used = []
    for seconds in (0, 59, 1):
        manual_clock.sleep(seconds)
        let_in(made.secret)
        used.append(ApiToken.objects.get().last_used_at)
    begun = datetime(2026, 9, 1, 12, tzinfo=UTC)
    assert used == [begun, begun, begun + timedelta(seconds=60)]


def test_who_guesses_is_not_heard_for_a_minute_and_others_are(olga: User, manual_clock: ManualClock) -> None:
    secret = make(olga).secret
    for _ in range(tokens.WRONG_TOKENS_BY_CLIENT.amount):
        with pytest.raises(tokens.TokenRefused):
            let_in("veo_wrong")
    with pytest.raises(tokens.TooManyTries) as refused:
        let_in(secret)
    assert (refused.value.code, refused.value.retry_after_s) == ("too_many_tries", 60)
    assert let_in(secret, ip="203.0.113.8") == olga
    manual_clock.sleep(60)
    assert let_in(secret) == olga


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"name": "  "}, "name"),
        ({"name": "n" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["cost:read", "everything"]}, "scopes"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expire"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(olga: User, how: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(olga, **how)
    assert not ApiToken.objects.exists()


def test_a_disabled_person_gets_none_and_a_closed_account_leaves_none(alice: User) -> None:
    make(alice)
    user_actions.close_account(user=alice, actor=None)
    assert not ApiToken.objects.exists()
    alice.refresh_from_db()
    with pytest.raises(ValueError, match="disabled or closed"):
        make(alice)


def test_no_log_line_shows_a_token(olga: User) -> None:
    secret = make(olga).secret
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "Not Found: /?token=%s and %s.", (secret, secret), None)
    line = SecretMaskingFormatter("{message}", style="{").format(record)
    assert line == f"Not Found: /?token={secret[:12]}*** and {secret[:12]}***."
    assert mask_tokens("veo_fast veo3_fast video:veo_short") == "veo_fast veo3_fast video:veo_short"


# The command


def command(*words: str, **options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("create_api_token", *words, stdout=out, stderr=err, **options)
    return out.getvalue().strip(), err.getvalue()


def test_the_command_prints_the_secret_alone_and_says_the_rest_beside_it(olga: User, manual_clock: ManualClock) -> None:
    secret, words = command("Olga@Example.com", name="nagios", days=30)
    assert let_in(secret) == olga
    token = ApiToken.objects.get()
    assert (token.name, token.scopes, token.expires_at) == (
        "nagios",
        ["cost:read"],
        manual_clock.at + timedelta(days=30),
    )
    assert words == (
        "Created for olga@example.com: cost:read, expires 2026-10-01 12:00 UTC. Store it now: it is not shown again.\n"
    )


def test_the_command_makes_one_without_an_end_and_warns_of_an_owner_who_is_no_operator(alice: User) -> None:
    secret, words = command(alice.email, "--scope", "cost:read", "--days", "0")
    assert let_in(secret) == alice
    assert "does not expire" in words
    assert "alice@example.com is not an operator" in words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody@example.com"], "No user has the address"),
        (["olga@example.com", "--days", "-1"], "must be 1 to 3650"),
        (["olga@example.com", "--days", "9999"], "must be 1 to 3650"),
        (["olga@example.com", "--name", " "], "No token was created: a token needs a name"),
        (["olga@example.com", "--scope", "root"], "invalid choice"),
    ],
)
def test_the_command_says_what_is_wrong(olga: User, words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        command(*words)
    assert not ApiToken.objects.exists()


# The operators' pages


def fill_in(desk: Client, **form: object) -> str:
    return desk.post(f"{LIST}add/", {"name": "grafana", "scopes": ["cost:read"], "days": "90", **form}).text


def test_an_operator_makes_a_token_and_sees_it_once(desk: Client, olga: User) -> None:
    assert "within the permissions chosen here" in desk.get(f"{LIST}add/").text
    answer = desk.post(f"{LIST}add/", {"name": "grafana", "scopes": ["cost:read"], "days": "90"})
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r'value="(veo_[A-Za-z0-9_-]{43})"', answer.text)
    assert found is not None
    assert let_in(found[1]) == olga
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - clock.now() <= timedelta(days=90)
    listed = desk.get(LIST).text
    assert found[1] not in listed
    assert found[1][:12] in listed
    assert LogEntry.objects.get().change_message == "created: cost:read"


def test_the_form_sent_twice_makes_no_second_token(desk: Client, olga: User) -> None:
    assert "Copy it now" in fill_in(desk, days="0")
    assert "You already have a token with this name" in fill_in(desk, days="0")
    token = ApiToken.objects.get()
    assert token.expires_at is None
    tokens.revoke_token(token_id=token.pk, actor=olga)
    assert "Copy it now" in fill_in(desk)


@pytest.mark.parametrize("form", [{"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"days": "7000"}])
def test_a_form_with_a_mistake_makes_nothing(desk: Client, form: dict[str, object]) -> None:
    assert "errorlist" in fill_in(desk, **form)
    assert not ApiToken.objects.exists()


def test_making_one_asks_who_is_there(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    asked = client.get(f"{LIST}add/")
    assert asked.status_code == 302
    assert "reauthenticate" in asked["Location"]
    client.post(f"{LIST}add/", {"name": "x", "scopes": ["cost:read"], "days": "90"})
    assert not ApiToken.objects.exists()


def test_revoking_asks_first_and_then_refuses(desk: Client, olga: User) -> None:
    made = make(olga)
    form = {"action": "revoke", "_selected_action": [made.token.pk]}
    assert "refused from now on" in desk.post(LIST, form).text
    assert let_in(made.secret) == olga
    assert "Revoked: " in desk.post(LIST, {**form, "confirmed": "yes"}, follow=True).text
    with pytest.raises(tokens.TokenRefused):
        let_in(made.secret)
    assert "These tokens are already revoked" in desk.post(LIST, {**form, "confirmed": "yes"}, follow=True).text


def test_the_list_says_how_each_stands(desk: Client, olga: User, alice: User, manual_clock: ManualClock) -> None:
    make(olga, name="one")
    make(alice, name="two")
    make(olga, name="three", expires_at=manual_clock.at + timedelta(days=1))
    tokens.revoke_token(token_id=make(olga, name="four").token.pk, actor=olga)
    user_actions.disable(user=alice, actor=None)
    manual_clock.sleep(2 * 86400)
    text = desk.get(LIST).text
    for word in ("Active", "Owner disabled", "Expired", "Revoked"):
        assert f">{word}<" in text
    token = ApiToken.objects.filter(name="one").get()
    page = desk.get(f"{LIST}{token.pk}/change/").text
    assert token.digest not in page
    assert 'name="_save"' not in page


def test_an_operator_with_few_rights_sees_and_makes_only_their_own(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    clerk = make_person("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_apitoken"]))
    make(olga, name="of olga")
    make(clerk, name="of the clerk")
    client = Client()
    client.force_login(clerk)
    text = client.get(LIST).text
    assert "of the clerk" in text
    assert "of olga" not in text
    assert client.get(f"{LIST}add/").status_code == 403
