"""The users of the tests: Alice and Bob are customers, Olga is an operator."""

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from accounts import user_actions
from accounts.models import User
from billing.credits import ledger

# Passes the validators; the same for all users, so that tests can sign in.
PASSWORD = "correct horse battery staple"


def make_person(email: str, **fields: object) -> User:
    """A user with a confirmed address and no credits."""
    user = User.objects.create_user(email, PASSWORD, **fields)
    user_actions.confirm_address(user=user)
    return user


def make_operator(email: str, **fields: object) -> User:
    """A superuser with an authenticator app."""
    user = make_person(email, is_staff=True, is_superuser=True, **fields)
    TOTP.activate(user, generate_totp_secret())
    return user


def give_credits(user: User, user_credits: int) -> None:
    """Grant credits; every call grants again."""
    key = f"grant:test:{user.pk}:{ledger.statement(user).count()}"
    ledger.grant(user=user, user_credits=user_credits, idempotency_key=key, note="for a test")


@pytest.fixture
def alice(db: None) -> User:
    """A customer with a confirmed address and no credits."""
    return make_person("alice@example.com", display_name="Alice")


@pytest.fixture
def bob(db: None) -> User:
    """Another customer, who must never see anything of Alice's."""
    return make_person("bob@example.com", display_name="Bob")


@pytest.fixture
def olga(db: None) -> User:
    """The operator: staff, superuser, with a second factor."""
    return make_operator("olga@example.com", display_name="Olga")
