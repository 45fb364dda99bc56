import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.seams import clock
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.alerts.outbox import Channel, Recipient
from billing.models import Alert
from videos.notifications import alert_delivery


class Command(BaseCommand):
    help = (
        "Sends a test alert at once, the same way as real ones, to every address in the settings, and prints the results. "
        "Exit code 1 if a delivery failed, or if no address is configured."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", metavar="ADDRESS", help="send to this address instead of COST_ALERT_EMAIL")
        parser.add_argument(
            "--webhook",
            action="store_true",
            help="send to ALERT_WEBHOOK_URL, and to no mail address unless --email is given",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        recipients = choose_recipients(email=options["email"], webhook=options["webhook"])
        at = clock.now()
        alert = alerts.raise_alert(Alert.Kind.TEST, cause=f"sent by hand at {at:%H:%M:%S.%f}")
        all_arrived = True
        for delivery in alert_outbox.claim_test_deliveries(alert, recipients):
            by_mail = delivery.channel == Channel.EMAIL
            error = alert_delivery.mail_alert(delivery) if by_mail else alert_delivery.post_webhook(delivery)
            target = f"{'mail to' if by_mail else 'webhook at'} {delivery.address}"
            self.stdout.write(f"{target}: {f'NOT SENT, {error}' if error else 'sent'}")
            all_arrived = all_arrived and not error
        alert_outbox.drop_superseded(Alert.objects.filter(pk=alert.pk))
        alerts.resolve_alerts(Alert.Kind.TEST, cause=alert.cause)
        if not all_arrived:
            sys.exit(1)


def choose_recipients(*, email: str | None, webhook: bool) -> list[Recipient]:
    """The recipients of the test alert. Raises CommandError if there are none."""
    if not email and not webhook:
        if not (recipients := alert_outbox.list_recipients()):
            raise CommandError(
                "Nobody would receive an alert: set COST_ALERT_EMAIL, ALERT_WEBHOOK_URL or both in .env, "
                "or give --email ADDRESS to try the mail server."
            )
        return recipients
    if webhook and not alert_outbox.webhook_recipients():
        raise CommandError("ALERT_WEBHOOK_URL is empty: set it and ALERT_WEBHOOK_SECRET in .env.")
    mail = [Recipient(Channel.EMAIL, email)] if email else []
    return [*mail, *(alert_outbox.webhook_recipients() if webhook else [])]
