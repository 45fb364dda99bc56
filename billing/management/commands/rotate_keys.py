"""`manage.py rotate_keys`: run after adding a new first key to FIELD_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.provider import encryption
from billing.provider import keys as provider_keys


class Command(BaseCommand):
    help = (
        "Encrypts the stored provider keys again with the first key of FIELD_ENCRYPTION_KEYS. Put a new key first, restart "
        "web and worker, run this, and then the keys behind it may go. Safe to run again. "
        "Exit code 1 when a stored key cannot be opened."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forget",
            action="store_true",
            help="remove stored provider keys that no key here opens (its encryption key is lost)",
        )

    def handle(self, *args: Any, forget: bool, **options: Any) -> None:
        try:
            done = provider_keys.reseal_keys()
        except encryption.EncryptionError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{done.resealed} sealed anew, {done.current} were already.")
        if forget:
            for label in provider_keys.remove_unreadable_keys():
                self.stdout.write(f"{label}: forgotten. Enter its key anew in the admin, or name it in KIE_AI_API_KEY.")
        elif done.problems:
            raise CommandError("These cannot be opened; keep every old key:\n" + "\n".join(done.problems))
        newest, *old = encryption.load_keys()
        if old:
            self.stdout.write(
                f"Nothing is sealed with {', '.join(old)} any more. Once web and worker were restarted with "
                f"{newest} first, take the old out of FIELD_ENCRYPTION_KEYS."
            )
