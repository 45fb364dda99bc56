import sys
from argparse import ArgumentParser
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.seams import clock
from billing.common.periods import site_zone
from videos.notifications import daily_summary


class Command(BaseCommand):
    help = "Mails the daily summary to COST_ALERT_EMAIL now, or prints it. Exit code 1 if a mail server refused it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--date", type=date.fromisoformat, help="the day to summarise, such as 2026-09-01; default: yesterday"
        )
        parser.add_argument("--print", action="store_true", help="print it instead of mailing it")

    def handle(self, *args: Any, **options: Any) -> None:
        yesterday = clock.now().astimezone(site_zone()).date() - timedelta(days=1)
        day: date = options["date"] or yesterday
        if options["print"]:
            self.stdout.write(daily_summary.render_text(day))
            return
        if not settings.COST_ALERT_EMAIL:
            self.stdout.write("COST_ALERT_EMAIL is empty: set it in .env, or use --print.")
            sys.exit(1)
        errors = {address: daily_summary.send(day, address) for address in settings.COST_ALERT_EMAIL}
        for address, error in errors.items():
            self.stdout.write(f"{address}: {error or 'sent'}")
        if any(errors.values()):
            sys.exit(1)
