"""`manage.py benchmark dashboard` measures whether the dashboard meets its targets on this machine."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from veoapp.benchmark import dashboard


class Command(BaseCommand):
    help = (
        "Measures the operators' dashboard over a long history, in a scratch database on the configured server "
        "(its user must be allowed to create databases). The real rows are never touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["dashboard"])
        parser.add_argument(
            "--tasks", type=int, default=1_000_000, help="number of tasks in the history (default: 1,000,000)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--enforce", action="store_true", help="exit code 1 when a target is missed")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tasks"] < 1:
            raise CommandError("--tasks must be at least 1")
        result = dashboard.run_benchmark(tasks=options["tasks"], log=self.stderr.write)
        if options["json"]:
            self.stdout.write(json.dumps(dashboard.build_report(result), indent=2))
        else:
            self.stdout.write("\n".join(dashboard.format_table(result)))
        if options["enforce"] and not result.is_within_targets:
            sys.exit(1)
