"""The operators' pages about videos, callbacks, failed jobs and provider accounts, registered with Django's admin.

The pages are read-only except for their buttons. The buttons about videos call `videos.actions.operator`; those about
provider accounts are defined in `billing.admin.provider`, and `videos.admin.accounts` adds the connection test.
"""

from videos.admin.accounts import ProviderAccountAdmin
from videos.admin.callbacks import CallbackReceiptAdmin
from videos.admin.jobs import FailureAdmin
from videos.admin.tasks import VideoTaskAdmin

__all__ = ["CallbackReceiptAdmin", "FailureAdmin", "ProviderAccountAdmin", "VideoTaskAdmin"]
