"""`manage.py worker`: submits, polls and downloads videos under a supervisor that restarts what fails."""

import logging
import time
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.signing import SignedPackage

from billing.provider import encryption
from billing.provider import keys as provider_keys
from videos import job_queue
from videos.worker import sweep
from videos.worker.supervisor import CANARY_EVERY_S, Supervisor

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Run the worker: a supervised django-q cluster that submits, polls and downloads. Stops on Ctrl-C or SIGTERM."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--inline",
            action="store_true",
            help="for debugging: run the jobs in this process, where breakpoint() works",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            provider_keys.require_readable_keys()
        except encryption.EncryptionError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write("Worker running. Stop it with Ctrl-C.")
        if options["inline"]:
            with suppress(KeyboardInterrupt):
                _run_inline()
        else:
            Supervisor().run()


def _run_inline() -> None:
    """Enqueue what is due, as the supervisor does, and run the queued jobs one after another.

    The canary is a job that does nothing; its start shows other processes that a worker is alive.
    """
    broker = get_broker()
    canary_at = time.monotonic() - CANARY_EVERY_S
    while True:
        close_old_connections()
        sweep.enqueue_due()
        if time.monotonic() - canary_at >= CANARY_EVERY_S:
            canary_at = time.monotonic()
            job_queue.enqueue("canary")
        # `dequeue` waits half a second if the queue is empty.
        while queued := broker.dequeue():
            for number, package in queued:
                _run_job(SignedPackage.loads(package)["func"])
                broker.acknowledge(number)


def _run_job(path: str) -> None:
    log.debug("running %s", path)
    try:
        import_string(path)()
    except Exception:
        log.exception("%s failed", path)
