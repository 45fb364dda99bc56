"""Ordering a video: one transaction locks the account, charges it and queues the task. Nothing is sent here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.seams import clock, failpoints
from billing.alerts import services as alerts
from billing.budgets import policy as budget_policy
from billing.costs import spend
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.models import ProviderAccount
from billing.pricing import prices
from billing.pricing.prices import Quote
from billing.provider import accounts as provider_accounts
from videos import job_queue
from videos.lifecycle import status_changes as lifecycle
from videos.models import SourceImage, VideoTask
from videos.models.tasks import TaskImage
from videos.ordering import catalogue, queue
from videos.storage import media_store

GenerationType = VideoTask.GenerationType


class KeyReused(Exception):
    """The idempotency key was already used for a different order; pages answer with HTTP 409."""


class InvalidOrder(Exception):
    """The order has invalid fields. `errors` maps a field's name to a sentence."""

    def __init__(self, errors: dict[str, str | Promise]) -> None:
        super().__init__(", ".join(errors))
        self.errors = errors


class StorageFull(guard_checks.Refusal):
    """The storage has no room for another video."""

    code = "no_room"

    def sentence(self) -> str:
        return gettext(
            "There is no storage space for another video right now; the operator has to make room. "
            "Nothing was charged; please try again later."
        )


@dataclass(frozen=True, kw_only=True)
class VideoOrder:
    """What a user orders. `image_ids` are the first frame and then the last frame, or the reference images."""

    prompt: str
    model: str = "veo3_fast"
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    duration_s: int = 8
    generation_type: str = GenerationType.TEXT
    image_ids: Sequence[UUID] = ()
    seed: int | None = None
    watermark: str = ""
    enable_translation: bool = True

    def quote(self) -> Quote:
        """The price of this order now. Raises NoPrice."""
        return prices.get_quote(
            model=self.model, resolution=self.resolution, kind=catalogue.price_kind(self.generation_type)
        )

    def hash(self) -> str:
        """Digest of all fields, which is equal for equal orders."""
        return hashlib.sha256(json.dumps(asdict(self), default=str, sort_keys=True).encode()).hexdigest()


def validate(order: VideoOrder) -> dict[str, str | Promise]:
    """Error sentences by field; empty if the order is valid."""
    errors: dict[str, str | Promise] = {}
    model = catalogue.MODELS.get(order.model)
    if not order.prompt.strip():
        errors["prompt"] = _("Describe what should be seen: a subject, what it does, how the camera moves.")
    elif len(order.prompt) > catalogue.PROMPT_LIMIT:
        errors["prompt"] = _("The prompt is too long: at most 2,000 characters.")
    if model is None:
        errors["model"] = _("Choose one of the models.")
    elif order.generation_type not in model.generation_types:
        errors["model"] = _("This model cannot work from reference images. Choose Fast or Lite.")
    if order.aspect_ratio not in catalogue.ASPECT_RATIOS:
        errors["aspect_ratio"] = _("Choose 16:9 or 9:16.")
    if order.resolution not in catalogue.RESOLUTIONS:
        errors["resolution"] = _("Choose 720p, 1080p or 4K.")
    if order.duration_s not in catalogue.allowed_durations_s(order.generation_type):
        errors["duration_s"] = (
            _("From reference images, videos are 8 seconds long.")
            if order.generation_type == GenerationType.REFERENCE
            else _("Choose 4, 6 or 8 seconds.")
        )
    min_images, max_images = catalogue.IMAGE_COUNTS.get(order.generation_type, (0, 0))
    if not min_images <= len(order.image_ids) <= max_images:
        errors["images"] = {
            GenerationType.FRAMES: _("Add a first frame, and a last one if you like."),
            GenerationType.REFERENCE: _("Add one to three reference images."),
        }.get(GenerationType(order.generation_type), _("A video from text takes no images."))
    min_seed, max_seed = catalogue.SEED_RANGE
    if order.seed is not None and not min_seed <= order.seed <= max_seed:
        errors["seed"] = _("A seed is a number from 10000 to 99999.")
    if len(order.watermark) > catalogue.WATERMARK_LIMIT:
        errors["watermark"] = _("The watermark is too long: at most 40 characters.")
    return errors


def create(*, user: User, order: VideoOrder, idempotency_key: str) -> VideoTask:
    """Charge and queue a video. Called again with the same key and order, it returns the same task and charges nothing.

    Raises InvalidOrder, KeyReused, prices.NoPrice, guard_checks.Refusal or provider_accounts.NoProviderKey, and then
    nothing is charged.
    """
    if not idempotency_key or len(idempotency_key) > 100:
        raise ValueError("an idempotency key has 1 to 100 characters")
    # This comes before all checks, because a repeated order must find its task even if the order is no longer valid.
    if (existing := _find_existing(user, order, idempotency_key)) is not None:
        return existing
    if errors := validate(order):
        raise InvalidOrder(errors)
    provider_account = provider_accounts.get_current_account()
    has_free_space = media_store.has_free_space()
    if not has_free_space:
        alerts.raise_alert(alerts.Kind.STORAGE, cause="media", facts=media_store.disk_full_facts())
    try:
        task = _charge_and_queue(
            user, order, idempotency_key, provider_account=provider_account, has_free_space=has_free_space
        )
    except budget_policy.BudgetRefusal as refusal:
        # The alert is raised after the transaction, whose rollback would undo it.
        budget_policy.alert_operators(refusal)
        raise
    failpoints.reach("create.committed")
    job_queue.enqueue("dispatch")
    return task


def _charge_and_queue(
    user: User, order: VideoOrder, idempotency_key: str, *, provider_account: ProviderAccount, has_free_space: bool
) -> VideoTask:
    with transaction.atomic():
        account = ledger.lock_account(user)
        # Checked again under the lock, because the same order may be submitted twice at the same time.
        if (existing := _find_existing(user, order, idempotency_key)) is not None:
            return existing
        if not has_free_space:
            raise StorageFull()
        images = _lock_images(user, order)
        quote = order.quote()
        guard_checks.check_order(
            user=user,
            credit_account=account,
            quote=quote,
            provider_account=provider_account,
            expected_wait_s=queue.expected_wait_s(),
        )
        task = VideoTask.objects.create(
            user=user,
            prompt=order.prompt.strip(),
            model=order.model,
            aspect_ratio=order.aspect_ratio,
            resolution=order.resolution,
            duration_s=order.duration_s,
            generation_type=order.generation_type,
            seed=order.seed,
            watermark=order.watermark,
            enable_translation=order.enable_translation,
            idempotency_key=idempotency_key,
            order_hash=order.hash(),
            user_credits=quote.user_credits,
            created_at=(at := clock.database_now()),
            due_at=at,
        )
        TaskImage.objects.bulk_create(
            TaskImage(task=task, image=image, position=position) for position, image in enumerate(images)
        )
        ledger.charge(
            user=user,
            user_credits=quote.user_credits,
            idempotency_key=task.charge_key,
            job_id=task.pk,
            reference=task.reference,
        )
        spend.estimate(job_id=task.pk, user=user, quote=quote)
        lifecycle.record_first_event(task)
        failpoints.reach("create.charged")  # only tests stop here, to simulate a crash
        return task


def _find_existing(user: User, order: VideoOrder, idempotency_key: str) -> VideoTask | None:
    task = VideoTask.objects.filter(user=user, idempotency_key=idempotency_key).first()
    if task is not None and task.order_hash != order.hash():
        raise KeyReused(idempotency_key)
    return task


def _lock_images(user: User, order: VideoOrder) -> list[SourceImage]:
    # Locked so that the sweep of unused images cannot delete one meanwhile.
    images = SourceImage.objects.select_for_update().filter(user=user).in_bulk(list(order.image_ids))
    if len(images) != len(set(order.image_ids)):
        raise InvalidOrder({"images": _("An image is no longer available. Please add it again.")})
    return [images[image_id] for image_id in order.image_ids]
