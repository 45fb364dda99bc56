"""What videos do when something happens to a person."""

from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_closing
from videos import owners


@receiver(account_closing, dispatch_uid="videos.owners")
def forget_the_leaving(user: User, actor: User | None, **kwargs: Any) -> None:
    """Within the closing's own transaction: what waits is cancelled with its refund, what has ended is forgotten."""
    owners.forget(user=user, actor=actor)
