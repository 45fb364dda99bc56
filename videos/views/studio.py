"""The studio: one form with its price, what is on the way, the latest takes. Page and live fragment share one view."""

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
from videos.views.access import PageRequest, get_own_task, sign_in_required, signed_in_user
from videos.views.landing import DRAFT_KEY, landing

log = logging.getLogger(__name__)

LATEST_COUNT = 8


@dataclass(frozen=True)
class Slot:
    """The place of one image in the form: what lies there, or why the last try did not."""

    name: str
    label: str | Promise
    image: SourceImage | None = None
    error: str | Promise = ""

    @property
    def optional(self) -> bool:
        return self.name in ("reference2", "reference3")


@dataclass(frozen=True)
class LiveVideos:
    """What moves on the page. `shown` names the latest takes, so that they are sent again only when they changed."""

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
    """What can be chosen and what it costs, for the settings chosen so far."""
    offer = studio_options.build_options(user=signed_in_user(request), asked=request.GET.dict())
    return render(request, "videos/_quote.html", {"offer": offer, **_CONSTANT_CONTEXT})


@sign_in_required
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: PageRequest) -> HttpResponse:
    """Keep one image as soon as it is chosen; asked without one, the empty place."""
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
    asked = {name: form.value_of(name) for name in ("mode", "model", "aspect_ratio", "resolution", "duration_s")}
    offer = studio_options.build_options(user=user, asked=asked)
    return render(
        request,
        "videos/studio.html",
        {
            "form": form,
            "offer": offer,
            "slots": [
                Slot(name, SLOT_LABELS[name], chosen.get(name), form.slot_errors.get(name, "")) for name in ALL_SLOTS
            ],
            "live": live,
            "tried": bool(live.jobs or live.latest),
            "examples": examples.EXAMPLES,
            "refusal": refusal,
            "standing": None if refusal else offer.outlook.standing,
            **_CONSTANT_CONTEXT,
        },
        status=status,
    )


def _initial_values(request: HttpRequest) -> dict[str, Any]:
    """From an earlier video, an example, or what was typed before signing in."""
    if earlier := request.GET.get("from"):
        try:
            return form_values_of(get_own_task(request, UUID(earlier)))
        except ValueError:
            raise Http404 from None
    if example := examples.BY_NAME.get(request.GET.get("example", "")):
        return example.settings()
    return dict(request.session.get(DRAFT_KEY, {}))


def _submit_order(request: HttpRequest) -> HttpResponse:
    data = request.POST.copy()
    user = signed_in_user(request)
    if removed := data.get("remove"):
        data.pop(f"image_{removed}", None)
        kept = {**data.dict(), "enable_translation": "enable_translation" in data}
        return _render_page(request, StudioForm(user=user, initial=kept))
    complaints = _save_form_images(request, data)
    form = StudioForm(user=user, data=data)
    form.slot_errors.update(complaints)
    if not form.is_valid() or complaints:
        return _render_page(request, form, status=422)
    order = form.order()
    if problems := orders.validate(order):
        form.complain(problems)
        return _render_page(request, form, status=422)
    try:
        price, seen = order.quote().user_credits, form.cleaned_data["seen_price"]
        if seen is not None and price > seen:
            return _render_page(request, form, refusal=_describe_price_rise(price, seen), status=409)
        task = orders.create(user=user, order=order, idempotency_key=form.cleaned_data["key"])
    except orders.InvalidOrder as error:
        form.complain(error.errors)
        return _render_page(request, form, status=422)
    except orders.KeyReused:
        data["key"] = str(randomness.new_uuid())
        return _render_page(request, StudioForm(user=user, data=data), refusal=_describe_key_reuse(), status=409)
    except (prices.NoPrice, provider_accounts.NoProviderKey, guard_checks.Refusal) as error:
        return _render_page(request, form, refusal=_describe_refusal(error), status=422)
    request.session.pop(DRAFT_KEY, None)
    messages.success(request, _("Ordered for %(n)d credits; they come back if it cannot be made.") % {"n": price})
    return redirect(f"{reverse('videos:studio')}?from={task.pk}#on-the-way")


def _load_live_videos(user: User, shown: str = "") -> LiveVideos:
    at = clock.now()
    tasks = VideoTask.objects.filter(user=user, deleted_at=None).prefetch_related("files").order_by("-created_at")
    latest = list(tasks.exclude(status__in=VideoTask.LIVE)[:LATEST_COUNT])
    names = "".join(f"{task.pk}{task.status}{task.late_at}" for task in latest)
    digest = hashlib.sha256(names.encode()).hexdigest()[:12]
    return LiveVideos(
        jobs=[summarize_video(task, at=at) for task in tasks.filter(status__in=VideoTask.LIVE)],
        latest=[summarize_video(task, at=at) for task in latest],
        shown=digest,
        changed=digest != shown,
    )


def _save_image(request: HttpRequest, slot: str) -> tuple[SourceImage | None, str]:
    """The image sent for this place, kept; or a sentence that says why it cannot be."""
    file = request.FILES.get(f"file_{slot}")
    if file is None:
        return None, _("No image arrived. Please choose it again.")
    try:
        return source_images.keep(user=signed_in_user(request), upload=file), ""
    except source_images.ImageRefused as error:
        return None, str(error)
    except media_store.StorageTrouble:
        log.exception("an image could not be kept")
        return None, _(
            "We could not keep the image: our disk has trouble, and the operator can see it. Please try again."
        )


def _save_form_images(request: HttpRequest, data: QueryDict) -> dict[str, str | Promise]:
    """Keep images that came with the form itself (no JavaScript), and put their ids into `data`."""
    complaints: dict[str, str | Promise] = {}
    for slot in ALL_SLOTS:
        if f"file_{slot}" in request.FILES:
            image, error = _save_image(request, slot)
            if image is not None:
                data[f"image_{slot}"] = str(image.pk)
            else:
                complaints[slot] = error
    return complaints


def _describe_price_rise(price: int, seen: int) -> dict[str, Any]:
    return {
        "title": _("The price is %(price)d credits") % {"price": price},
        "text": _("The page said %(seen)d. Nothing was charged; press Make video again to agree.") % {"seen": seen},
    }


def _describe_key_reuse() -> dict[str, Any]:
    return {
        "title": _("This form already made a video"),
        "text": _("It was changed since, so nothing new was charged. Press Make video again to make this one as well."),
        "href": reverse("videos:gallery"),
        "action": _("See your videos"),
    }


def _describe_refusal(error: Exception) -> dict[str, Any]:
    """A refusal as the page says it: what, why, what to do."""
    if isinstance(error, prices.NoPrice):
        return {
            "title": _("No price for this"),
            "text": _(
                "This combination is not sold just now. Choose another model or resolution; nothing was charged."
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
            "title": _("Enough on the way"),
            "text": str(error),
            "href": "#on-the-way",
            "action": _("See what is on the way"),
        }
    if isinstance(error, guard_checks.Refusal):
        return {"title": _("Not just now"), "text": str(error)}
    return {
        "title": _("Not set up yet"),
        "text": _("The operator has not entered a key for the provider. Nothing was charged and your text is kept."),
    }
