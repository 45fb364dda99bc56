"""How many videos may be made at once, how long they may wait, and how long they are kept."""

from veoapp.settings.base import env

MAX_CONCURRENT_VIDEOS = env.int("MAX_CONCURRENT_VIDEOS", default=10)
MAX_CONCURRENT_PER_USER = env.int("MAX_CONCURRENT_PER_USER", default=3)
MAX_ACTIVE_PER_USER = env.int("MAX_ACTIVE_PER_USER", default=200)
MAX_QUEUE_WAIT_MINUTES = env.int("MAX_QUEUE_WAIT_MINUTES", default=60)
VIDEO_RETENTION_DAYS = env.int("VIDEO_RETENTION_DAYS", default=0)  # 0: kept until the owner deletes it
