"""`manage.py sandbox`: the local stand-in for kie.ai, started through Django."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos.sandbox.options import add_arguments
from videos.sandbox.run import run


class Command(BaseCommand):
    help = "Run a local stand-in for kie.ai: the same API, real video files, no cost, faults on request."
    requires_system_checks = ()  # it needs neither database nor settings

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if run(argparse.Namespace(**options)):
            raise CommandError("The sandbox did not start.")
