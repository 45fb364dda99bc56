#!/usr/bin/env python
"""Django's command line; `manage.py help` lists what veoapp adds."""

import os
import sys

from django.core.management import execute_from_command_line

from veoapp.environment import SettingsError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "veoapp.settings")
    try:
        execute_from_command_line(sys.argv)
    except SettingsError as error:
        sys.exit(f"veoapp: {error}")
