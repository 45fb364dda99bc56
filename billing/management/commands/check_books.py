from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from billing.audit import runner as audit_runner


class Command(BaseCommand):
    help = (
        "Checks every invariant of money, history and files. One line for each problem; exit code 1 when there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read every stored file and compare its hash")

    def handle(self, *args: Any, **options: Any) -> None:
        problems, looked = audit_runner.run_audit(deep=options["deep"])
        for problem in problems:
            self.stdout.write(str(problem))
        for check in looked:
            self.stdout.write(str(check))
        self.stdout.write(f"{len(problems)} problems")
        if problems:
            raise SystemExit(1)
