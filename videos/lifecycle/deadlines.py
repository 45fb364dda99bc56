"""How long a video may stay in each status before it is reported to operators, given up and refunded.

`videos.ordering.queue`, `videos.pipeline.polling` and `videos.pipeline.download_rows` apply these limits.
"""

from datetime import timedelta

from django.conf import settings

# queued: then it is cancelled and refunded by the sweep.
MAX_QUEUE_WAIT = timedelta(days=1)

# unconfirmed: the paid request was sent, but no usable response arrived.
UNCONFIRMED_ALERT_AFTER = timedelta(minutes=15)
UNCONFIRMED_REFUND_AFTER = timedelta(minutes=60)

# generating: then it is shown as delayed and polled more slowly.
SOFT_DEADLINE = timedelta(minutes=15)
# generating, and the provider says that it does not know the task.
NOT_VISIBLE_ALERT_AFTER = timedelta(minutes=10)
# generating, and the provider says that it is done but names no file.
MISSING_FILE_TIMEOUT = timedelta(minutes=30)

# downloading: the provider keeps results for 14 days.
DOWNLOAD_GIVE_UP_AFTER = timedelta(days=13)

# failed by the hard deadline: a late result is still fetched within this time.
LATE_RESULT_PERIOD = timedelta(days=1)


def hard_deadline() -> timedelta:
    """How long after it was sent a task without a verdict is refunded."""
    return timedelta(hours=settings.HARD_DEADLINE_HOURS)
