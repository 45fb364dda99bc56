from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos.audit import recount


class Command(BaseCommand):
    help = "Counts every job again and compares the result with the stored totals; --repair corrects them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--check", action="store_true", help="only list differences; exit code 1 if there are any")
        mode.add_argument("--repair", action="store_true", help="correct the differences, month by month")

    def handle(self, *args: Any, **options: Any) -> None:
        difference_count = 0
        for month in recount.list_months():
            name = f"{month.local_start:%Y-%m}"
            if options["repair"]:
                repaired = recount.repair(month)
                difference_count += repaired
                self.stdout.write(f"{name}: {repaired} totals corrected")
                continue
            for difference in recount.find_differences(month.starts_at, month.ends_at):
                difference_count += 1
                self.stdout.write(str(difference))
        if not difference_count:
            self.stdout.write("All totals match the rows.")
        elif not options["repair"]:
            raise CommandError(f"{difference_count} totals differ from the rows; --repair corrects them")
