from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos.audit import recount


class Command(BaseCommand):
    help = "Counts every job again and compares it with the totals that pages read; --repair puts them right."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="only say what differs; exit code 1 when something does")
        what.add_argument("--repair", action="store_true", help="put right what differs, month by month")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = 0
        for month in recount.months():
            name = f"{month.local_start:%Y-%m}"
            if options["repair"]:
                repaired = recount.repair(month)
                wrong += repaired
                self.stdout.write(f"{name}: {repaired} totals put right")
                continue
            for one in recount.differences(month.starts_at, month.ends_at):
                wrong += 1
                self.stdout.write(str(one))
        if not wrong:
            self.stdout.write("Totals are what the rows say.")
        elif not options["repair"]:
            raise CommandError(f"{wrong} totals differ from the rows; --repair puts them right")
