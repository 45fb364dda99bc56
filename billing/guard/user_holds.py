"""Holding one user's new videos while others go on. The only writer of `UserHold`.

A held user's orders are refused, and what they have waiting keeps its place. Whoever dispatches decides under the
provider account's lock; a hold works from the moment it is committed.
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
    """Hold a user until a moment, or until a person lets go. False: the watch (no actor) found a person's hold, and left it.

    The user reads a person's reason: ValueError without one.
    """
    reason = reason.strip()[:REASON_LENGTH]
    if code == Code.PERSON and not reason:
        raise ValueError("a person's hold needs a reason")
    if actor is None and live().filter(user=user, code=Code.PERSON).exists():
        return False
    words = {"code": code, "reason": reason, "held_at": clock.now(), "held_by": actor, "until": until}
    UserHold.objects.update_or_create(user=user, defaults=words)
    return True


def release(*, user_id: int) -> bool:
    """Let a user order again, from the next order on; False when nobody held them."""
    return bool(UserHold.objects.filter(user_id=user_id).delete()[0])


def live() -> QuerySet[UserHold]:
    """The holds that hold somebody now."""
    return UserHold.objects.filter(Q(until=None) | Q(until__gt=clock.now()))


def of(user_id: int) -> UserHold | None:
    """The hold that this user is under now, if any."""
    return live().filter(user_id=user_id).first()


def end_over() -> int:
    """Forget the holds whose time is over (they hold nobody any more); returns how many."""
    return UserHold.objects.filter(until__lte=clock.now()).delete()[0]
