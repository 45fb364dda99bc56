"""What videos do when something happens to a person."""

from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_closing
from videos.actions import owner as owner_actions


@receiver(account_closing, dispatch_uid="videos.actions.owner")
def erase_videos_of_closing_account(user: User, actor: User | None, **kwargs: Any) -> None:
    """Within the closing's own transaction: what waits is cancelled with its refund, what has ended is forgotten."""
    owner_actions.erase_user_videos(user=user, actor=actor)
