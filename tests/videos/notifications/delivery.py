"""Helpers for tests of alert delivery."""

from billing.models import Alert
from tests.mail import Mailbox

Kind = Alert.Kind
OLGA = "olga@example.com"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def read_subjects(mailbox: Mailbox) -> list[str]:
    return [str(message["Subject"]).strip() for message in mailbox.messages]


def split_request(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body
