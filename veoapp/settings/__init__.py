"""Django's settings, one module for each concern, all read from the environment or `.env` through `base.env`.

- `videos`: how many videos may be made or ordered at once, the longest expected wait, and retention.
- `provider`: the provider's addresses, keys, time limits and rate limit, and when a video without a result fails.
- `jobs`: the worker's processes and its job queue, which never retries a job.
- `billing`: credits, budgets, the circuit breaker and the spending monitor.
- `files`: where files are stored, and how much disk space stays free.
- `accounts`, `base`, `database`, `localization`, `logs`, `mail`, `security`: as their names say.

These are constants, not settings: how long a video may stay in each status and when a download gives up
(`videos.lifecycle.deadlines`), and the waits between two attempts of a download (`videos.pipeline.download_rows`).

No module here imports an application. `.env.example` and the README document every name; a test compares them.
"""

from veoapp.settings.accounts import *  # noqa: F403
from veoapp.settings.base import *  # noqa: F403
from veoapp.settings.billing import *  # noqa: F403
from veoapp.settings.database import *  # noqa: F403
from veoapp.settings.files import *  # noqa: F403
from veoapp.settings.jobs import *  # noqa: F403
from veoapp.settings.localization import *  # noqa: F403
from veoapp.settings.logs import *  # noqa: F403
from veoapp.settings.mail import *  # noqa: F403
from veoapp.settings.provider import *  # noqa: F403
from veoapp.settings.security import *  # noqa: F403
from veoapp.settings.videos import *  # noqa: F403
