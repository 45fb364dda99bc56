"""The forms on the reconciliation page with which operators explain file discrepancies.

A discrepancy is, for example, a paid video without a stored file (see `videos.audit.paid_files`). An operator's
decision about it is stored as a `FileAnswer`. A reference names a video or a file.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.models import ADDITION, LogEntry
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from billing.models import FileAnswer
from billing.reconciliation import file_discrepancies
from videos.audit.paid_files import Difference, PaidFileComparison
from videos.lifecycle.transitions import task_id_of

Kind = FileAnswer.Kind


class FileDecisionForm(forms.Form):
    """A reason for all selected discrepancies of one kind. An answer with this reason is stored for each of them."""

    kind = forms.ChoiceField(choices=Kind, widget=forms.HiddenInput)
    references = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": gettext_lazy("Select at least one file."),
            "invalid_choice": gettext_lazy(
                "One of these was decided or repaired in the meantime. Check the list again."
            ),
        },
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=file_discrepancies.REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *, kind: Kind, references: Sequence[str], data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"kind": kind}, auto_id=f"answer-{kind}-%s")
        field: Any = self.fields["references"]
        field.choices = [(reference, reference) for reference in references]

    @property
    def selected(self) -> list[str]:
        """The references that the user selected. In a form not sent yet, a single choice is selected already."""
        if self.is_bound:
            return self["references"].value() or []
        field: Any = self.fields["references"]
        return [name for name, _label in field.choices] if len(field.choices) == 1 else []


def list_references(difference: Difference) -> list[str]:
    """Return the references in a difference: those of its tasks, or the names of files without a task."""
    return [task.reference for task in difference.tasks] or difference.names


def parse_decision(data: QueryDict, files: PaidFileComparison) -> FileDecisionForm:
    """Return the form that was sent; it accepts only discrepancies that are still unanswered."""
    sent_kind = str(data["kind"])
    kind = Kind(sent_kind) if sent_kind in Kind else Kind.MISSING
    return FileDecisionForm(kind=kind, references=files.list_unanswered(kind, data.getlist("references")), data=data)


def record_decision(form: FileDecisionForm, actor: User) -> int:
    """Record the decision for each selected file and log it. Returns how many answers are new.

    The others exist already, because another operator decided about these files first.
    """
    kind, reason = Kind(form.cleaned_data["kind"]), form.cleaned_data["reason"]
    results = [
        file_discrepancies.record_answer(
            reference=reference, job_id=task_id_of(reference), kind=kind, reason=reason, actor=actor
        )
        for reference in form.cleaned_data["references"]
    ]
    for answer in (answer for answer, is_new in results if is_new):
        LogEntry.objects.log_actions(actor.pk, [answer], ADDITION, f"{answer.reference}: {answer.reason}")
    return sum(is_new for _answer, is_new in results)


def format_result(count: int) -> str:
    """Return the message shown after decisions were recorded."""
    return _("Decisions saved: %(n)d.") % {"n": count}
