"""Sign-up credits: granted once to each user, for the first confirmed address."""

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.credits import ledger
from tests.accounts import steps
from tests.people import make_person

pytestmark = pytest.mark.django_db


def confirm_address(user: User, email: str) -> EmailAddress:
    """Confirm an address of the user, which is added if it is new."""
    address, _ = EmailAddress.objects.get_or_create(user=user, email=email)
    EmailAddress.objects.filter(pk=address.pk).update(verified=True)
    address.refresh_from_db()
    email_confirmed.send(sender=EmailAddress, request=None, email_address=address)
    return address


def entries(user: User) -> list[tuple[str, int, str]]:
    return list(ledger.statement(user).values_list("kind", "amount", "idempotency_key"))


def test_a_confirmed_sign_up_grants_credits(client: Client, settings: Settings) -> None:
    settings.SIGNUP_CREDITS = 120
    steps.sign_up(client, "new@example.com")
    user = User.objects.get(email="new@example.com")
    assert ledger.balance_of(user) == 0
    steps.enter_code(client, steps.find_code(steps.last_mail()))
    assert steps.is_signed_in(client)
    assert ledger.balance_of(user) == 120
    assert entries(user) == [("grant", 120, f"grant:signup:{user.pk}")]
    assert ledger.statement(user).get().note == "Welcome"


def test_a_repeated_confirmation_grants_once_even_if_the_setting_changed(settings: Settings) -> None:
    user = User.objects.create_user("new@example.com")
    confirm_address(user, user.email)
    settings.SIGNUP_CREDITS = 500
    confirm_address(user, user.email)
    assert ledger.balance_of(user) == 100
    assert len(entries(user)) == 1


def test_a_second_confirmed_address_grants_nothing(settings: Settings) -> None:
    user = make_person("vouched@example.com")
    confirm_address(user, "second@example.com")
    assert ledger.balance_of(user) == 0
    assert entries(user) == []


@pytest.mark.parametrize("credits", [0, -1])
def test_sign_up_credits_can_be_switched_off(settings: Settings, credits: int) -> None:
    settings.SIGNUP_CREDITS = credits
    user = User.objects.create_user("new@example.com")
    confirm_address(user, user.email)
    assert ledger.balance_of(user) == 0
    assert entries(user) == []
