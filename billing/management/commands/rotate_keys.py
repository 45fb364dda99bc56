"""`manage.py rotate_keys`: run after adding a new first key to FIELD_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.provider import encryption
from billing.provider import keys as provider_keys


class Command(BaseCommand):
    help = (
        "Encrypts the stored provider keys again with the first key of FIELD_ENCRYPTION_KEYS. Put a new key first, restart "
        "web and worker, run this command, and then remove the old keys. It can be run again. "
        "Exits with code 1 if a stored key cannot be decrypted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forget",
            action="store_true",
            help="remove stored provider keys that cannot be decrypted because their encryption key is lost",
        )

    def handle(self, *args: Any, forget: bool, **options: Any) -> None:
        try:
            result = provider_keys.reseal_keys()
        except encryption.EncryptionError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{result.resealed} encrypted again, {result.current} already up to date.")
        if forget:
            for label in provider_keys.remove_unreadable_keys():
                self.stdout.write(f"{label}: removed. Enter its key again in the admin, or set KIE_AI_API_KEY.")
        elif result.problems:
            raise CommandError(
                "These keys cannot be decrypted; keep all old encryption keys:\n" + "\n".join(result.problems)
            )
        newest, *old_keys = encryption.load_keys()
        if old_keys:
            self.stdout.write(
                f"Nothing is encrypted with {', '.join(old_keys)} any more. Once web and worker have been restarted with "
                f"{newest} first, remove the old keys from FIELD_ENCRYPTION_KEYS."
            )
