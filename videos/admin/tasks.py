"""The admin's list of all videos, the page of one video, and the operators' actions."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.lists import TolerantChangeList
from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin, acting_operator
from billing.admin.cells import chip
from billing.common.formatting import format_amount
from billing.guard import wait_reasons
from billing.models import Alert, Spend
from videos.admin import task_actions
from videos.admin.filters import (
    AttentionFilter,
    FailureFilter,
    ModelFilter,
    ResolutionFilter,
    UserFilter,
    search_tasks,
)
from videos.lifecycle import deadlines
from videos.lifecycle.costs import read_costs, read_spends
from videos.models import VideoFile, VideoTask
from videos.ordering import catalogue
from videos.ordering.input_modes import RESOLUTION_LABELS
from videos.presentation.tiles import get_display_state
from videos.templatetags.veo import duration

Status = VideoTask.Status

MAX_SELECTED = 200
# Characters of a callback's body that are shown; up to 64 KiB are stored.
BODY_LIMIT = 4000


class TaskList(TolerantChangeList):
    """A page of the list; the costs of its tasks (their `Spend` rows) are read in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tasks = list(self.result_list)
        spends = read_spends(tasks)
        for task in tasks:
            task.spend = spends.get(task.pk)  # for the columns of the list
        self.result_list = tasks


@admin.register(VideoTask)
class VideoTaskAdmin(ReadOnlyAdmin):
    """Every video, read-only; the actions are those of `videos.actions.operator`."""

    list_display = (
        "state_chip",
        "prompt_text",
        "user_email",
        "model_title",
        "price",
        "estimated_cost",
        "actual_cost",
        "age",
        "wait_reason",
    )
    list_display_links = ("prompt_text",)
    list_filter = (
        AttentionFilter,
        "status",
        FailureFilter,
        UserFilter,
        ModelFilter,
        ResolutionFilter,
        "created_at",
        ("account", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("user",)
    search_fields = ("prompt",)  # shows the search box; `search_tasks` does the search
    search_help_text = gettext_lazy("Words of the prompt, an e-mail address, our ID or the provider's")
    ordering = ("-created_at",)
    actions: Any = tuple(task_actions.TASK_ACTIONS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VideoTask]:
        return super().get_queryset(request).prefetch_related("files")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[VideoTask], search_term: str
    ) -> tuple[QuerySet[VideoTask], bool]:
        return search_tasks(queryset, search_term), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TolerantChangeList]:
        return TaskList

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """The actions need the permission to change videos."""
        return request.user.has_perm("videos.change_videotask")

    # Columns

    @admin.display(description=gettext_lazy("state"), ordering="status")
    def state_chip(self, task: VideoTask) -> SafeString:
        state = get_display_state(task)
        return chip(state.label, state.tone)

    @admin.display(description=gettext_lazy("prompt"))
    def prompt_text(self, task: VideoTask) -> str:
        return Truncator(task.prompt).chars(70) or _("(erased)")

    @admin.display(description=gettext_lazy("user"), ordering="user__email")
    def user_email(self, task: VideoTask) -> str:
        return task.user.email

    @admin.display(description=gettext_lazy("model"), ordering="model")
    def model_title(self, task: VideoTask) -> str:
        title = catalogue.model_title(task.model).removeprefix("Veo 3.1 ")
        return f"{title} · {RESOLUTION_LABELS.get(task.resolution, task.resolution)}"

    @admin.display(description=gettext_lazy("price"), ordering="user_credits")
    def price(self, task: VideoTask) -> SafeString:
        return _number_cell(str(task.user_credits))

    @admin.display(description=gettext_lazy("estimated"))
    def estimated_cost(self, task: VideoTask) -> SafeString:
        spend = _spend_of(task)
        return _number_cell(format_amount(spend.estimated if spend else None))

    @admin.display(description=gettext_lazy("actual"))
    def actual_cost(self, task: VideoTask) -> SafeString:
        spend = _spend_of(task)
        return _number_cell(format_amount(spend.actual if spend else None))

    @admin.display(description=gettext_lazy("age"), ordering="-created_at")
    def age(self, task: VideoTask) -> SafeString:
        age_s = (clock.now() - task.created_at).total_seconds()
        ordered_at = timezone.localtime(task.created_at)
        text = duration(age_s) if age_s < 24 * 3600 else f"{ordered_at:%Y-%m-%d}"
        return format_html('<time class="num nowrap" datetime="{}">{}</time>', ordered_at.isoformat(), text)

    @admin.display(description=gettext_lazy("waiting for"))
    def wait_reason(self, task: VideoTask) -> str:
        return describe_wait(task)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one video with buttons for the possible actions."""
        try:
            task = VideoTask.objects.select_related("user", "account").get(pk=UUID(object_id))
        except (ValueError, VideoTask.DoesNotExist):
            raise Http404 from None
        if not self.has_view_permission(request, task):
            raise PermissionDenied
        state = get_display_state(task)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": task,
            "title": Truncator(task.prompt).chars(60) or str(task.pk),
            "task": task,
            "number": str(task.pk).partition("-")[0].upper(),
            "state": state,
            "wait_reason": describe_wait(task),
            "events": task.events.select_related("actor"),
            "files": task.files.all(),
            "callbacks": task.callbacks.all()[:20],
            "body_limit": BODY_LIMIT,
            "money": read_costs(task),
            "alerts": Alert.objects.filter(reference=task.reference),
            "actions": task_actions.list_possible(task) if self.has_operate_permission(request) else (),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/videos/task.html", context)

    @admin.action(description=gettext_lazy("Check now…"), permissions=["operate"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[VideoTask]) -> HttpResponse | None:
        return self._run_action(request, "check_now", queryset)

    @admin.action(description=gettext_lazy("Retry download…"), permissions=["operate"])
    def retry_download(self, request: HttpRequest, queryset: QuerySet[VideoTask]) -> HttpResponse | None:
        return self._run_action(request, "retry_download", queryset)

    @admin.action(description=gettext_lazy("Cancel with refund…"), permissions=["operate"])
    def cancel_with_refund(self, request: HttpRequest, queryset: QuerySet[VideoTask]) -> HttpResponse | None:
        return self._run_action(request, "cancel_with_refund", queryset)

    @admin.action(description=gettext_lazy("Mark unconfirmed as lost…"), permissions=["operate"])
    def mark_lost(self, request: HttpRequest, queryset: QuerySet[VideoTask]) -> HttpResponse | None:
        return self._run_action(request, "mark_lost", queryset)

    def _run_action(self, request: HttpRequest, name: str, queryset: QuerySet[VideoTask]) -> HttpResponse | None:
        """Ask for confirmation with the consequences first, then perform the action on each task whose status is unchanged."""
        action = task_actions.TASK_ACTIONS[name]
        tasks = list(queryset.select_related("user")[: MAX_SELECTED + 1])
        if len(tasks) > MAX_SELECTED:
            self.message_user(request, _("Select fewer: at most %(n)d at once.") % {"n": MAX_SELECTED}, messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return self._confirm(request, action, tasks)
        for task in tasks:
            seen_status = request.POST.get(f"seen_{task.pk}")
            if seen_status:
                self._perform(request, action, task, seen_status)
        if len(tasks) == 1:
            return HttpResponseRedirect(reverse("admin:videos_videotask_change", args=[tasks[0].pk]))
        return None

    def _confirm(self, request: HttpRequest, action: task_actions.TaskAction, tasks: list[VideoTask]) -> HttpResponse:
        rows = task_actions.describe_consequences(action, tasks, read_spends(tasks))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": action.question,
            "action": action,
            "rows": rows,
            "any_possible": any(row["is_possible"] for row in rows),
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "back_url": reverse("admin:videos_videotask_change", args=[tasks[0].pk]) if len(tasks) == 1 else "",
        }
        return TemplateResponse(request, "admin/videos/confirm.html", context)

    def _perform(
        self, request: HttpRequest, action: task_actions.TaskAction, task: VideoTask, seen_status: str
    ) -> None:
        done, sentence = task_actions.perform_action(
            action, task, seen_status=seen_status, actor=acting_operator(request)
        )
        if done:
            self.log_change(request, task, action.name)
        text = f"{Truncator(task.prompt).chars(40)}: {sentence}"
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)


def describe_wait(task: VideoTask) -> str:
    """A short text that says what the next step of a task waits for; empty if it waits for nothing."""
    if task.status == Status.QUEUED:
        if task.wait_code and task.wait_until is not None and task.wait_until > clock.now():
            return str(wait_reasons.OPERATOR_TEXTS.get(task.wait_code, task.wait_code))
        return _("its turn")
    if task.status == Status.SUBMITTING:
        return _("the provider's answer")
    if task.status == Status.UNCONFIRMED:
        until = timezone.localtime((task.submitted_at or task.created_at) + deadlines.UNCONFIRMED_REFUND_AFTER)
        return _("the provider's call, until %(time)s") % {"time": f"{until:%H:%M}"}
    if task.status == Status.GENERATING:
        return _("the provider's result")
    pending = [file for file in task.files.all() if file.state == VideoFile.State.PENDING]
    if pending and task.deleted_at is None:
        return _("the file, attempt %(n)d") % {"n": pending[0].attempts + 1}
    return ""


def _spend_of(task: VideoTask) -> Spend | None:
    return getattr(task, "spend", None)


def _number_cell(text: str) -> SafeString:
    return format_html('<span class="num">{}</span>', text)
