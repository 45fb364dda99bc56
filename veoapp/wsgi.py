"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "veoapp.settings")
application = get_wsgi_application()
# By name, for tables can be imported only now. A server that could not read its keys would fail its people later.
import_string("billing.provider.keys.require_readable_keys")()
connections.close_all()
