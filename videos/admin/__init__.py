"""Videos, as operators see them: everything to read, nothing to edit, and four acts that are the same as everybody's."""

from videos.admin.accounts import ProviderAccountAdmin
from videos.admin.callbacks import CallbackReceiptAdmin
from videos.admin.jobs import FailureAdmin
from videos.admin.tasks import VideoTaskAdmin

__all__ = ["CallbackReceiptAdmin", "FailureAdmin", "ProviderAccountAdmin", "VideoTaskAdmin"]
