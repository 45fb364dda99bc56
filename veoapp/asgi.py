"""The ASGI application, for servers that prefer it."""

import os

from django.core.asgi import get_asgi_application
from django.db import connections
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "veoapp.settings")
application = get_asgi_application()
# By name, for tables can be imported only now. A server that could not read its keys would fail its people later.
import_string("billing.provider.keys.require_readable_keys")()
connections.close_all()
