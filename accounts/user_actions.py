"""Changes of a user's account that are more than a form field, for pages, the admin and commands.

`actor` is the user who makes the change, None for a command. A user's row is locked with `no_key`, so that inserting
rows that refer to it (an order, a ledger entry) neither waits nor deadlocks.
"""

import logging

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts.models import User
from accounts.seams import clock
from accounts.signals import account_closing

log = logging.getLogger(__name__)


def confirm_address(*, user: User) -> EmailAddress:
    """Mark the user's address as confirmed without a confirmation e-mail, for users that a command creates."""
    address, _ = EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return address


def end_sessions(user: User) -> int:
    """Sign the user out everywhere; returns the number of sessions ended."""
    sessions = list(UserSession.objects.filter(user=user))
    for session in sessions:
        session.end()
    return len(sessions)


@transaction.atomic
def disable(*, user: User, actor: User | None) -> User:
    """Sign the user out and refuse them from the next request on. Their credits and videos stay."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    user.is_active = False
    user.save(update_fields=["is_active"])
    end_sessions(user)
    log.info("user %s disabled by %s", user.pk, actor and actor.pk)
    return user


@transaction.atomic
def enable(*, user: User, actor: User | None) -> User:
    """Allow a disabled user to sign in again; a closed account stays closed."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.anonymised_at is None:
        user.is_active = True
        user.save(update_fields=["is_active"])
        log.info("user %s enabled by %s", user.pk, actor and actor.pk)
    return user


def remove_second_factor(*, user: User, actor: User | None) -> int:
    """Delete every second factor and end every session, for users who lost their device; returns the number of factors."""
    with transaction.atomic():
        removed: int = Authenticator.objects.filter(user=user).delete()[0]
        end_sessions(user)
    log.info("second factor of user %s removed by %s", user.pk, actor and actor.pk)
    return removed


@transaction.atomic
def close_account(*, user: User, actor: User | None) -> User:
    """Anonymise a user permanently. Closing a closed account changes nothing.

    Other apps delete what belongs to the user when they receive `account_closing`. The entries of the
    credit ledger stay and refer to the anonymised user.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.anonymised_at is not None:
        return user
    account_closing.send(sender=User, user=user, actor=actor)
    user.email = f"deleted-{user.pk}@deleted.invalid"
    user.display_name = user.language = user.time_zone = ""
    user.theme = User.Theme.SYSTEM
    user.notify_ready = user.notify_failed = False
    user.is_active = user.is_staff = user.is_superuser = False
    # Changing the password hash also ends sessions without a `UserSession` row.
    user.set_unusable_password()
    user.last_login = None
    user.anonymised_at = clock.now()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    user.api_tokens.all().delete()
    end_sessions(user)
    # The admin's log keeps who did what, but under the anonymised name.
    LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)).update(
        object_repr=str(user)
    )
    log.info("account of user %s closed by %s", user.pk, actor and actor.pk)
    return user
