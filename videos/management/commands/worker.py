"""`manage.py worker`: submits, polls and downloads videos under a supervisor that restarts what fails."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.provider import encryption
from billing.provider import keys as provider_keys
from videos.worker.supervisor import Supervisor


class Command(BaseCommand):
    help = (
        "Run the worker: a supervised django-q cluster that submits, polls and downloads. Stops on Ctrl-C or SIGTERM."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            provider_keys.require_readable_keys()
        except encryption.EncryptionError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write("Worker running. Stop it with Ctrl-C.")
        Supervisor().run()
