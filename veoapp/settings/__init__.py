"""Django's settings, one module for each concern, all read from the environment or `.env` through `base.env`.

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
