"""The operators' pages about videos, callbacks, failed jobs and provider accounts, registered with Django's admin.

They show everything and edit nothing; their buttons call `videos.actions.operator`.
"""

from videos.admin.accounts import ProviderAccountAdmin
from videos.admin.callbacks import CallbackReceiptAdmin
from videos.admin.jobs import FailureAdmin
from videos.admin.tasks import VideoTaskAdmin

__all__ = ["CallbackReceiptAdmin", "FailureAdmin", "ProviderAccountAdmin", "VideoTaskAdmin"]
