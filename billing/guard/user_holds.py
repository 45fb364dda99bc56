"""Stops the new videos of single users (a hold). This module is the only writer of `UserHold`.

Orders of a held user are refused, and their waiting jobs stay in the queue. Dispatch checks for holds under the provider
account's lock, so a hold applies as soon as it is committed.
"""

from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.seams import clock
from billing.models import UserHold

Code = UserHold.Code

REASON_LENGTH = 300


def hold(
    *, user: User, code: UserHold.Code, reason: str = "", actor: User | None = None, until: datetime | None = None
) -> bool:
    """Hold a user's new videos until `until`, or until an operator releases the hold.

    An operator's hold needs a reason, which the user can read; raises ValueError without one. The spending monitor passes
    no actor and does not replace an operator's hold; in that case the result is False.
    """
    reason = reason.strip()[:REASON_LENGTH]
    if code == Code.OPERATOR and not reason:
        raise ValueError("an operator's hold needs a reason")
    if actor is None and active_holds().filter(user=user, code=Code.OPERATOR).exists():
        return False
    values = {"code": code, "reason": reason, "held_at": clock.now(), "held_by": actor, "until": until}
    UserHold.objects.update_or_create(user=user, defaults=values)
    return True


def release(*, user_id: int) -> bool:
    """Release a user's hold; False if there was none."""
    return bool(UserHold.objects.filter(user_id=user_id).delete()[0])


def active_holds() -> QuerySet[UserHold]:
    """The holds in force now."""
    return UserHold.objects.filter(Q(until=None) | Q(until__gt=clock.now()))


def find_active_hold(user_id: int) -> UserHold | None:
    """The hold in force on this user, if any."""
    return active_holds().filter(user_id=user_id).first()


def delete_expired() -> int:
    """Delete expired holds; returns how many."""
    return UserHold.objects.filter(until__lte=clock.now()).delete()[0]
