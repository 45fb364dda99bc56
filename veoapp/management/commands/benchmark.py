"""`manage.py benchmark dashboard`: figures for what the handbook promises, on this machine."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from veoapp.benchmark import dashboard


class Command(BaseCommand):
    help = (
        "Measures the operators' first page over a long history, in a scratch database on the configured server "
        "(its user must be allowed to create one). The real rows are never touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["dashboard"])
        parser.add_argument("--tasks", type=int, default=1_000_000, help="how long the history is (1,000,000)")
        parser.add_argument("--json", action="store_true", help="print figures for programs")
        parser.add_argument("--enforce", action="store_true", help="exit code 1 when a target is missed")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tasks"] < 1:
            raise CommandError("a history has at least one task")
        result = dashboard.run_benchmark(tasks=options["tasks"], say=self.stderr.write)
        if options["json"]:
            self.stdout.write(json.dumps(dashboard.build_report(result), indent=2))
        else:
            self.stdout.write("\n".join(dashboard.format_table(result)))
        if options["enforce"] and not result.is_within_targets:
            sys.exit(1)
