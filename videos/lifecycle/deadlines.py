"""How long a video may stay in each status before it is reported to operators, given up and refunded.

`videos.ordering.queue`, `videos.pipeline.polling` and `videos.pipeline.download_rows` apply these limits. Each comment
begins with the status to which the limit applies; `videos.lifecycle.status_changes` explains the statuses.
"""

from datetime import timedelta

from django.conf import settings

# queued: after this time the sweep cancels the task and refunds its user.
MAX_QUEUE_WAIT = timedelta(days=1)

# unconfirmed: the paid request was sent, but no usable response arrived.
UNCONFIRMED_ALERT_AFTER = timedelta(minutes=15)
UNCONFIRMED_REFUND_AFTER = timedelta(minutes=60)

# generating: after this time the task is shown as delayed and polled more slowly.
SOFT_DEADLINE = timedelta(minutes=15)
# generating, and the provider says that it does not know the task.
NOT_VISIBLE_ALERT_AFTER = timedelta(minutes=10)
# generating, and the provider says that it is done but names no file.
MISSING_FILE_TIMEOUT = timedelta(minutes=30)

# downloading: one day less than the 14 days for which the provider keeps results.
DOWNLOAD_GIVE_UP_AFTER = timedelta(days=13)

# failed, because the hard deadline passed without a verdict: a late result is still fetched within this time.
LATE_RESULT_PERIOD = timedelta(days=1)


def hard_deadline() -> timedelta:
    """How long after it was sent a task is refunded if the provider has reported neither success nor failure."""
    return timedelta(hours=settings.HARD_DEADLINE_HOURS)
