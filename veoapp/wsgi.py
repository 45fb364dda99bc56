"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "veoapp.settings")
application = get_wsgi_application()
# Imported by name because models can be imported only now. Without readable provider keys the server must not start.
import_string("billing.provider.keys.require_readable_keys")()
connections.close_all()  # the connection of that check, which no request would use
