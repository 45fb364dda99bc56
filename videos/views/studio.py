"""The studio: the order form with its price, the videos in progress and the latest ones.

One view renders the page and, for the polling of htmx, the fragment of it that changes.
"""

import hashlib
import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HTMX_STOP_POLLING

from accounts.models import User
from accounts.seams import clock, randomness
from billing.guard import checks as guard_checks
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from videos.forms import StudioForm, form_values_of
from videos.models import SourceImage, VideoTask
from videos.ordering import examples, orders, studio_options
from videos.ordering.input_modes import ALL_SLOTS, SLOT_LABELS, Mode, models_for
from videos.presentation.tiles import VideoSummary, summarize_video
from videos.storage import media_store, source_images
from videos.storage.image_reencoding import ImageRefused
from videos.views.access import PageRequest, get_own_task, sign_in_required, signed_in_user
from videos.views.landing import DRAFT_KEY, landing

log = logging.getLogger(__name__)

LATEST_COUNT = 8


@dataclass(frozen=True)
class Slot:
    """A place for one image in the form, with the uploaded image or the reason why the last upload was refused."""

    name: str
    label: str | Promise
    image: SourceImage | None = None
    error: str | Promise = ""

    @property
    def is_optional(self) -> bool:
        return self.name in ("reference2", "reference3")


@dataclass(frozen=True)
class LiveVideos:
    """The videos on the page: `jobs` are in progress, `latest` are finished.

    `shown` is a digest of `latest`. The page sends it back with each poll, and receives `latest` only if it changed.
    """

    jobs: list[VideoSummary]
    latest: list[VideoSummary]
    shown: str
    changed: bool


@require_http_methods(["GET", "HEAD", "POST"])
def studio(request: PageRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return landing(request)
    if request.method == "POST":
        return _submit_order(request)
    if request.htmx:
        live = _load_live_videos(signed_in_user(request), shown=request.GET.get("shown", ""))
        status = 200 if live.jobs else HTMX_STOP_POLLING
        return render(request, "videos/_studio_live.html", {"live": live}, status=status)
    return _render_page(request, StudioForm(user=signed_in_user(request), initial=_initial_values(request)))


@sign_in_required
@require_safe
def quote(request: PageRequest) -> HttpResponse:
    """The options and the price for the settings chosen so far."""
    options = studio_options.build_options(user=signed_in_user(request), requested=request.GET.dict())
    return render(request, "videos/_quote.html", {"options": options, **_CONSTANT_CONTEXT})


@sign_in_required
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: PageRequest) -> HttpResponse:
    """POST: store one image as soon as it is chosen. GET: show the slot empty, after its image was removed."""
    name = request.GET.get("slot", "")
    if name not in SLOT_LABELS:
        raise Http404
    image, error = _save_image(request, name) if request.method == "POST" else (None, "")
    slot = Slot(name, SLOT_LABELS[name], image, error)
    return render(request, "videos/_image.html", {"slot": slot}, status=422 if error else 200)


_CONSTANT_CONTEXT: dict[str, Any] = {"reference_models": [model.name for model in models_for(Mode.REFERENCE)]}


def _render_page(
    request: HttpRequest, form: StudioForm, *, refusal: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    user = signed_in_user(request)
    live = _load_live_videos(user)
    chosen = form.chosen_images()
    requested = {name: form.value_of(name) for name in ("mode", "model", "aspect_ratio", "resolution", "duration_s")}
    options = studio_options.build_options(user=user, requested=requested)
    return render(
        request,
        "videos/studio.html",
        {
            "form": form,
            "options": options,
            "slots": [
                Slot(name, SLOT_LABELS[name], chosen.get(name), form.slot_errors.get(name, "")) for name in ALL_SLOTS
            ],
            "live": live,
            "has_videos": bool(live.jobs or live.latest),
            "examples": examples.EXAMPLES,
            "refusal": refusal,
            "restriction": None if refusal else options.availability.restriction,
            **_CONSTANT_CONTEXT,
        },
        status=status,
    )


def _initial_values(request: HttpRequest) -> dict[str, Any]:
    """The form's values from an earlier video, an example, or what was typed before signing in."""
    if earlier := request.GET.get("from"):
        try:
            return form_values_of(get_own_task(request, UUID(earlier)))
        except ValueError:
            raise Http404 from None
    if example := examples.BY_NAME.get(request.GET.get("example", "")):
        return example.form_values()
    return dict(request.session.get(DRAFT_KEY, {}))


def _submit_order(request: HttpRequest) -> HttpResponse:
    data = request.POST.copy()
    user = signed_in_user(request)
    if removed := data.get("remove"):
        data.pop(f"image_{removed}", None)
        values = {**data.dict(), "enable_translation": "enable_translation" in data}
        return _render_page(request, StudioForm(user=user, initial=values))
    image_errors = _save_form_images(request, data)
    form = StudioForm(user=user, data=data)
    form.slot_errors.update(image_errors)
    if not form.is_valid() or image_errors:
        return _render_page(request, form, status=422)
    order = form.order()
    if errors := orders.validate(order):
        form.add_order_errors(errors)
        return _render_page(request, form, status=422)
    try:
        price, shown_price = order.quote().user_credits, form.cleaned_data["seen_price"]
        if shown_price is not None and price > shown_price:
            return _render_page(request, form, refusal=_describe_price_rise(price, shown_price), status=409)
        task = orders.create(user=user, order=order, idempotency_key=form.cleaned_data["key"])
    except orders.InvalidOrder as error:
        form.add_order_errors(error.errors)
        return _render_page(request, form, status=422)
    except orders.KeyReused:
        data["key"] = str(randomness.new_uuid())
        return _render_page(request, StudioForm(user=user, data=data), refusal=_describe_key_reuse(), status=409)
    except (prices.NoPrice, provider_accounts.NoProviderKey, guard_checks.Refusal) as error:
        return _render_page(request, form, refusal=_describe_refusal(error), status=422)
    request.session.pop(DRAFT_KEY, None)
    messages.success(request, _("Ordered for %(n)d credits; they are refunded if it fails.") % {"n": price})
    return redirect(f"{reverse('videos:studio')}?from={task.pk}#on-the-way")


def _load_live_videos(user: User, shown: str = "") -> LiveVideos:
    at = clock.now()
    tasks = VideoTask.objects.filter(user=user, deleted_at=None).prefetch_related("files").order_by("-created_at")
    latest = list(tasks.exclude(status__in=VideoTask.LIVE)[:LATEST_COUNT])
    states = "".join(f"{task.pk}{task.status}{task.late_at}" for task in latest)
    digest = hashlib.sha256(states.encode()).hexdigest()[:12]
    return LiveVideos(
        jobs=[summarize_video(task, at=at) for task in tasks.filter(status__in=VideoTask.LIVE)],
        latest=[summarize_video(task, at=at) for task in latest],
        shown=digest,
        changed=digest != shown,
    )


def _save_image(request: HttpRequest, slot: str) -> tuple[SourceImage | None, str]:
    """Store the image uploaded for this slot; returns it, or a sentence that explains why it was refused."""
    file = request.FILES.get(f"file_{slot}")
    if file is None:
        return None, _("No image was received. Please choose it again.")
    try:
        return source_images.store(user=signed_in_user(request), upload=file), ""
    except ImageRefused as error:
        return None, str(error)
    except media_store.StorageError:
        log.exception("an image could not be stored")
        return None, _(
            "We could not save the image because of a storage problem that the operator can see. Please try again."
        )


def _save_form_images(request: HttpRequest, data: QueryDict) -> dict[str, str | Promise]:
    """Store images sent with the form itself (without JavaScript) and put their ids into `data`; returns errors by slot."""
    errors: dict[str, str | Promise] = {}
    for slot in ALL_SLOTS:
        if f"file_{slot}" in request.FILES:
            image, error = _save_image(request, slot)
            if image is not None:
                data[f"image_{slot}"] = str(image.pk)
            else:
                errors[slot] = error
    return errors


def _describe_price_rise(price: int, shown_price: int) -> dict[str, Any]:
    return {
        "title": _("The price is %(price)d credits") % {"price": price},
        "text": _("The page showed %(seen)d. Nothing was charged; press Make video again to accept.")
        % {"seen": shown_price},
    }


def _describe_key_reuse() -> dict[str, Any]:
    return {
        "title": _("This form was already submitted"),
        "text": _(
            "The form was changed since then, so nothing more was charged. Press Make video again to order this one as well."
        ),
        "href": reverse("videos:gallery"),
        "action": _("See your videos"),
    }


def _describe_refusal(error: Exception) -> dict[str, Any]:
    """The refusal's title, text and link for the page."""
    if isinstance(error, prices.NoPrice):
        return {
            "title": _("No price for this"),
            "text": _(
                "This combination is not available right now. Choose another model or resolution; nothing was charged."
            ),
        }
    if isinstance(error, guard_checks.NotEnoughCredits):
        return {
            "title": _("Not enough credits"),
            "text": str(error),
            "href": f"{reverse('billing:credits')}#more",
            "action": _("How to get credits"),
        }
    if isinstance(error, guard_checks.TooManyActive):
        return {
            "title": _("Too many videos in progress"),
            "text": str(error),
            "href": "#on-the-way",
            "action": _("See videos in progress"),
        }
    if isinstance(error, guard_checks.Refusal):
        return {"title": _("Not possible right now"), "text": str(error)}
    return {
        "title": _("Not set up yet"),
        "text": _("The operator has not entered a key for the provider. Nothing was charged and your text is kept."),
    }
