"""`manage.py generate`: orders a video for a user from the terminal, and can wait for it and save the MP4."""

import os
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from accounts.seams import clock, randomness
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.models import ProviderAccount
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from billing.provider import encryption
from videos.models import VideoFile, VideoTask
from videos.ordering import catalogue, orders
from videos.ordering.orders import InvalidOrder, KeyReused, VideoOrder
from videos.pipeline.clients import client_for
from videos.presentation import timeline
from videos.presentation.terminal import ProgressLine, Snapshot, take_snapshot
from videos.providers.errors import AccessDenied, ProviderError
from videos.storage import media_store, source_images
from videos.storage.image_reencoding import ImageRefused
from videos.worker import inline as inline_worker

FAILED, REFUSED, STILL_RUNNING, NOT_WRITTEN = 1, 2, 3, 4  # exit codes

GenerationType = VideoTask.GenerationType

CHECK_INTERVAL_S = 0.5
# Codes of `billing.guard.wait_reasons` that are caused by the provider; they are reported after REPORT_WAIT_AFTER_S.
# "breaker": after too many failures nothing is sent for a while (`billing.guard.circuit_breaker`).
PROVIDER_WAITS = {"breaker", "not_sent", "balance_unknown", "access_denied"}
REPORT_WAIT_AFTER_S = 10.0
BLOCK_BYTES = 1 << 20


class Command(BaseCommand):
    help = (
        "Order a video for a user and, with --wait, follow it to its end. Exit codes: 0 ready (or ordered, without "
        "--wait), 1 failed and refunded, 2 refused before anything was charged, 3 still in progress when the wait ended, "
        "4 ready, but the file could not be written."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._provider_wait_since: float | None = None
        self._is_wait_reported = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prompt", help="what should be seen and heard")
        parser.add_argument("--user", required=True, metavar="EMAIL", help="the user who pays and owns the video")
        parser.add_argument("--model", default="veo3_fast", help=", ".join(catalogue.MODELS))
        parser.add_argument("--aspect-ratio", default="16:9", help=", ".join(catalogue.ASPECT_RATIOS))
        parser.add_argument("--resolution", default="720p", help=", ".join(catalogue.RESOLUTIONS))
        parser.add_argument("--duration", type=int, default=8, metavar="SECONDS", help="4, 6 or 8")
        parser.add_argument(
            "--image", nargs="+", default=[], metavar="FILE", help="one or two: first and last frame (see --reference)"
        )
        parser.add_argument("--reference", action="store_true", help="use the images (up to three) as references")
        parser.add_argument("--seed", type=int, help="10000 to 99999")
        parser.add_argument(
            "--key",
            default="",
            help="idempotency key: the same key and order again return the same video, charged once",
        )
        parser.add_argument("--wait", action="store_true", help="follow it to its end")
        parser.add_argument("--output", metavar="FILE", help="write the MP4 there (implies --wait)")
        parser.add_argument(
            "--timeout", type=float, default=1800, metavar="SECONDS", help="how long to wait (default 1800)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):
            output = self._check_output_path(options["output"])
            task = self._order(options)
            if not (options["wait"] or output):
                self.stdout.write(f"Ordered: {_video_url(task)}")
                return
            task = self._watch(task, timeout_s=options["timeout"])
            self._finish(task, output)

    def _check_output_path(self, name: str | None) -> Path | None:
        """The output path, checked before anything is charged."""
        if name is None:
            return None
        path = Path(name)
        if path.is_dir():
            self._stop(REFUSED, f"{path} is a folder: name a file.")
        if not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
            self._stop(REFUSED, f"Nothing can be written into {path.absolute().parent}.")
        return path

    def _order(self, options: dict[str, Any]) -> VideoTask:
        """Print the price, then charge and queue the order."""
        user = User.objects.filter(email=options["user"].strip().lower()).first()
        if user is None:
            self._stop(REFUSED, f"No user has the address {options['user']}. Sign up first, or check the spelling.")
        if not user.is_active:
            self._stop(REFUSED, f"The account of {user.email} is disabled or closed.")
        key = options["key"] or f"cli:{randomness.token()}"
        is_repeated = VideoTask.objects.filter(user=user, idempotency_key=key).exists()
        try:
            order = self._build_order(user, options)
            if not is_repeated:
                self._print_price(order, ledger.balance_of(user))
                self._check_provider()
            task = orders.create(user=user, order=order, idempotency_key=key)
        except InvalidOrder as problem:
            self._stop(REFUSED, *[f"{field}: {text}" for field, text in problem.errors.items()])
        except KeyReused:
            self._stop(
                REFUSED, "This key already belongs to a different order. Use a new one, or repeat the same order."
            )
        except prices.NoPrice:
            self._stop(REFUSED, "This is not for sale: there is no price for this model and resolution.")
        except guard_checks.Refusal as refusal:
            self._stop(REFUSED, str(refusal))
        except (provider_accounts.NoProviderKey, encryption.EncryptionError) as problem:
            self._stop(REFUSED, str(problem), "Nothing was charged.")
        if is_repeated:
            self.stdout.write("Ordered before under this key; nothing more is charged.")
        return task

    def _build_order(self, user: User, options: dict[str, Any]) -> VideoOrder:
        generation_type = (
            GenerationType.REFERENCE
            if options["reference"]
            else GenerationType.FRAMES
            if options["image"]
            else GenerationType.TEXT
        )
        order = VideoOrder(
            prompt=options["prompt"],
            model=options["model"],
            aspect_ratio=options["aspect_ratio"],
            resolution=options["resolution"],
            duration_s=options["duration"],
            generation_type=generation_type,
            # Random placeholders: the order is validated before its images are stored, so an invalid order stores no images.
            image_ids=[randomness.new_uuid() for _ in options["image"]],
            seed=options["seed"],
        )
        if errors := orders.validate(order):
            raise InvalidOrder(errors)
        images = [self._store_image(user, Path(name)) for name in options["image"]]
        return VideoOrder(**{**vars(order), "image_ids": [image.pk for image in images]})

    def _store_image(self, user: User, path: Path) -> Any:
        try:
            upload = SimpleUploadedFile(path.name, path.read_bytes())
            return source_images.store(user=user, upload=upload)
        except OSError as problem:
            self._stop(REFUSED, f"{path} cannot be read: {problem.strerror}.")
        except ImageRefused as refusal:
            self._stop(REFUSED, f"{path}: {refusal}")
        except media_store.StorageError as error:
            self._stop(REFUSED, f"{path} cannot be stored: {error}.")

    def _print_price(self, order: VideoOrder, balance: int) -> None:
        price = order.quote().user_credits
        balance_text = f"{balance - price} left after" if balance >= price else f"you have {balance}"
        title = catalogue.model_title(order.model)
        self.stdout.write(f"{title}, {order.resolution}, {order.duration_s} s: {price} credits; {balance_text}.")

    def _check_provider(self) -> None:
        """Ask for the balance, which is free, to find out before the charge whether the provider can be reached."""
        account = provider_accounts.get_current_account()
        try:
            client_for(account).balance()
        except AccessDenied:
            self._stop(REFUSED, _describe_remedy(account, "refuses our key"), "Nothing was charged.")
        except ProviderError as error:
            if error.status is None:
                self._stop(REFUSED, _describe_remedy(account, "does not answer"), "Nothing was charged.")

    def _watch(self, task: VideoTask, *, timeout_s: float) -> VideoTask:
        """Show the task's progress until it is finished, the time is up, or Ctrl-C; returns its last state."""
        progress_line = ProgressLine(self.stdout)
        deadline = monotonic() + timeout_s
        is_working_here = False
        with ExitStack() as stack:
            stack.callback(progress_line.finish)
            try:
                while not task.is_final and monotonic() < deadline:
                    if not is_working_here and not inline_worker.is_worker_alive():
                        progress_line.finish()
                        self.stdout.write("No worker is running, so this command does the work itself.")
                        stack.enter_context(inline_worker.InlineWorker(task.pk))
                        is_working_here = True
                    snapshot = take_snapshot(task)
                    progress_line.show(snapshot)
                    self._report_provider_wait(snapshot, progress_line)
                    clock.sleep(CHECK_INTERVAL_S)
                    task.refresh_from_db()
                progress_line.show(take_snapshot(task))
            except KeyboardInterrupt:
                progress_line.finish()
                if is_working_here:
                    self.stderr.write("Finishing the current step first; press Ctrl-C again to leave at once.")
        task.refresh_from_db()
        return task

    def _report_provider_wait(self, snapshot: Snapshot, progress_line: ProgressLine) -> None:
        """Report once, after REPORT_WAIT_AFTER_S, that the provider cannot be reached and what to do."""
        if snapshot.wait_code not in PROVIDER_WAITS:
            self._provider_wait_since = None
            return
        self._provider_wait_since = self._provider_wait_since or monotonic()
        if not self._is_wait_reported and monotonic() - self._provider_wait_since >= REPORT_WAIT_AFTER_S:
            self._is_wait_reported = True
            progress_line.finish()
            self.stderr.write(
                f"{_describe_remedy(provider_accounts.get_current_account(), 'does not answer')} The video keeps its place."
            )

    def _finish(self, task: VideoTask, output: Path | None) -> None:
        if not task.is_final:
            self._stop(STILL_RUNNING, f"Still in progress; it continues without this command. See {_video_url(task)}")
        if task.status != VideoTask.Status.READY:
            failure = timeline.explain_failure(task)
            explanation = f"{failure.title}. {failure.reason} {failure.next_step}" if failure else "It failed."
            refund = f"{task.user_credits} credits were refunded; the balance is {ledger.balance_of(task.user)}."
            self._stop(FAILED, explanation, refund)
        self.stdout.write(f"Ready: {_video_url(task)}")
        if output is not None:
            self._write(task, output)

    def _write(self, task: VideoTask, output: Path) -> None:
        """Write the file completely or not at all."""
        file = task.files.filter(state=VideoFile.State.STORED).order_by("index").first()
        if file is None:
            self._stop(NOT_WRITTEN, "Its file was deleted meanwhile.")
        part = output.with_name(f".{output.name}.{randomness.token()[:8]}.part")
        try:
            with default_storage.open(file.name, "rb") as source, part.open("xb") as target:
                while block := source.read(BLOCK_BYTES):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
            part.replace(output)
        except OSError as problem:
            part.unlink(missing_ok=True)
            self._stop(
                NOT_WRITTEN,
                f"It is ready, but {output} could not be written: {problem.strerror}. See {_video_url(task)}",
            )
        size = f"{file.width} x {file.height}, {file.duration_s:.1f} s, {(file.size_bytes or 0) / 1e6:.1f} MB"
        self.stdout.write(f"Written: {output} ({size})")

    def _stop(self, code: int, *lines: str) -> NoReturn:
        for line in lines:
            self.stderr.write(line)
        sys.exit(code)


def _video_url(task: VideoTask) -> str:
    return f"{settings.APP_URL}{reverse('videos:video', args=[task.pk])}"


def _describe_remedy(account: ProviderAccount, problem: str) -> str:
    if account.source == ProviderAccount.Source.SANDBOX:
        return (
            f"The sandbox at {account.base_url} {problem}. Start it with `manage.py sandbox`, or everything with "
            "`make run`; for real videos set KIE_AI_API_KEY."
        )
    return f"The provider at {account.base_url} {problem}. Check KIE_AI_API_KEY, KIE_AI_BASE_URL and the network."
