"""Signal receivers: what happens to a user's videos when the account is closed."""

from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_closing
from videos.actions import owner as owner_actions


@receiver(account_closing, dispatch_uid="videos.actions.owner")
def erase_videos_of_closing_account(user: User, actor: User | None, **kwargs: Any) -> None:
    """Cancel and refund queued videos and erase finished ones, in the same transaction that closes the account."""
    owner_actions.erase_user_videos(user=user, actor=actor)
