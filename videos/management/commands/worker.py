"""`manage.py worker`: submits, polls and downloads, and looks after itself."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import sealed_keys, vault
from videos.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run the worker: a supervised django-q cluster that sends, asks and downloads. Stops on Ctrl-C or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sealed_keys.require()
        except vault.VaultError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write("Worker running. Stop it with Ctrl-C.")
        Supervisor().run()
