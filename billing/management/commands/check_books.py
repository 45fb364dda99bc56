from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from billing.audit import runner as audit_runner


class Command(BaseCommand):
    help = (
        "Checks that ledger, costs, video history and files agree. Prints one line for each problem, and exits with code 1 "
        "if there is any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read every stored file and compare its hash")

    def handle(self, *args: Any, **options: Any) -> None:
        problems, checks = audit_runner.run_audit(deep=options["deep"])
        for problem in problems:
            self.stdout.write(str(problem))
        for check in checks:
            self.stdout.write(str(check))
        self.stdout.write(f"{len(problems)} problems")
        if problems:
            raise SystemExit(1)
