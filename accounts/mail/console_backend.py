"""Prints e-mails to the console, for machines without a mail server."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend

_RULE = "-" * 79


class EmailBackend(ConsoleBackend):
    """Prints address, subject and plain text, without headers or HTML."""

    def write_message(self, message: EmailMessage) -> None:
        self.stream.write(f"{_RULE}\nMail to {', '.join(message.recipients())}: {message.subject}\n\n{message.body}")
        self.stream.write(f"{_RULE}\n")
