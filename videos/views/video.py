"""One video's page: the player, the receipt, the settings, and the actions cancel and delete."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HTMX_STOP_POLLING

from accounts.seams import clock
from videos.actions import owner as owner_actions
from videos.lifecycle import status_changes as lifecycle
from videos.models import SourceImage, VideoTask
from videos.ordering.input_modes import SLOT_LABELS, SLOTS, mode_of
from videos.presentation import timeline
from videos.presentation.tiles import summarize_video
from videos.views.access import PageRequest, get_own_task, sign_in_required, signed_in_user


@sign_in_required
@require_safe
def video(request: PageRequest, task_id: UUID) -> HttpResponse:
    context = _build_context(get_own_task(request, task_id))
    if request.htmx:
        status = 200 if context["video"].is_live else HTMX_STOP_POLLING
        return render(request, "videos/_video_live.html", context, status=status)
    return render(request, "videos/video.html", context)


@sign_in_required
@require_POST
def cancel(request: PageRequest, task_id: UUID) -> HttpResponse:
    """Cancel a queued order; its price is refunded."""
    task = get_own_task(request, task_id)
    try:
        owner_actions.cancel(task_id=task.pk, actor=signed_in_user(request))
    except lifecycle.NotPossible:
        messages.warning(
            request, _("Too late to cancel: it is no longer waiting. It continues, and nothing is refunded.")
        )
    else:
        credits = task.user_credits
        refunded = ngettext("%(n)d credit refunded.", "%(n)d credits refunded.", credits) % {"n": credits}
        messages.success(request, _("Cancelled. %(refunded)s") % {"refunded": refunded})
    if request.POST.get("to") == "studio":
        return redirect(f"{reverse('videos:studio')}#on-the-way")
    return redirect("videos:video", task.pk)


@sign_in_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PageRequest, task_id: UUID) -> HttpResponse:
    """GET: ask for confirmation. POST: delete the file for good; the credit statement keeps its lines."""
    task = get_own_task(request, task_id)
    if request.method == "POST":
        try:
            owner_actions.delete(task_id=task.pk, actor=signed_in_user(request))
        except lifecycle.NotPossible:
            messages.warning(request, _("It is still in progress. It can be deleted when it is finished."))
            return redirect("videos:video", task.pk)
        messages.success(request, _("Deleted."))
        return redirect("videos:gallery")
    return render(request, "videos/delete.html", {"video": summarize_video(task, at=clock.now())})


def _build_context(task: VideoTask) -> dict[str, Any]:
    video = summarize_video(task, at=clock.now())
    return {
        "video": video,
        "task": task,
        "file": video.file,
        "steps": timeline.list_steps(task),
        "images": _list_images(task),
        "number": str(task.pk).partition("-")[0].upper(),
        "took_s": (task.finished_at - task.created_at).total_seconds() if task.finished_at else None,
    }


@dataclass(frozen=True)
class PlacedImage:
    """An image of the order with the label of its slot."""

    name: str
    image: SourceImage


def _list_images(task: VideoTask) -> list[PlacedImage]:
    images = [task_image.image for task_image in task.task_images.all()]
    slots = SLOTS[mode_of(task, len(images))]
    return [PlacedImage(str(SLOT_LABELS[slot]), image) for slot, image in zip(slots, images, strict=False)]
