"""Mail of a machine without a mail server: printed where the site runs, as a person reads it."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend

_RULE = "-" * 79


class EmailBackend(ConsoleBackend):
    """Address, subject and plain text; the page that goes with it would only bury them."""

    def write_message(self, message: EmailMessage) -> None:
        self.stream.write(f"{_RULE}\nMail to {', '.join(message.recipients())}: {message.subject}\n\n{message.body}")
        self.stream.write(f"{_RULE}\n")
