"""How many videos may be made and ordered at once, and how long finished videos are kept.

Not here: how long a sent video may take (HARD_DEADLINE_HOURS in `provider`), and the job queue of the worker (`jobs`).
These are constants, not settings: after how long a waiting order is refunded and a download gives up
(`videos.lifecycle.deadlines`), and the waits between two attempts of a download (`videos.pipeline.download_rows`).
"""

from veoapp.settings.base import env

# Videos being made at the provider at once, of all users and of one.
MAX_CONCURRENT_VIDEOS = env.int("MAX_CONCURRENT_VIDEOS", default=10)
MAX_CONCURRENT_PER_USER = env.int("MAX_CONCURRENT_PER_USER", default=3)
# Waiting and running videos of one user; further orders are refused.
MAX_ACTIVE_PER_USER = env.int("MAX_ACTIVE_PER_USER", default=200)
# An order whose expected wait is longer is refused. Orders that already wait are not affected.
MAX_QUEUE_WAIT_MINUTES = env.int("MAX_QUEUE_WAIT_MINUTES", default=60)
VIDEO_RETENTION_DAYS = env.int("VIDEO_RETENTION_DAYS", default=0)  # 0: kept until the owner deletes it
