"""The forms beside differences of files on the reconciliation page: which ones, why, and who says so."""

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
from videos.audit.paid_files import Difference, Files
from videos.lifecycle.transitions import task_id_of

Kind = FileAnswer.Kind


class FileAnswerForm(forms.Form):
    """One reason for the differences of one kind that are chosen; each gets an answer of its own."""

    kind = forms.ChoiceField(choices=Kind, widget=forms.HiddenInput)
    references = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": gettext_lazy("Choose what you answer."),
            "invalid_choice": gettext_lazy("One of these was answered, or mended, meanwhile. Look again."),
        },
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=file_discrepancies.REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *, kind: Kind, references: Sequence[str], data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"kind": kind}, auto_id=f"answer-{kind}-%s")
        choices: Any = self.fields["references"]
        choices.choices = [(one, one) for one in references]

    @property
    def chosen(self) -> list[str]:
        """What stays ticked when the form comes back; the only one there is, is meant."""
        if self.is_bound:
            return self["references"].value() or []
        offered: Any = self.fields["references"]
        return [name for name, _words in offered.choices] if len(offered.choices) == 1 else []


def references(difference: Difference) -> list[str]:
    """How the money names what the page names."""
    return [task.reference for task in difference.tasks] or difference.names


def posted(data: QueryDict, files: Files) -> FileAnswerForm:
    """The form as it was sent: what it may answer is what is open now."""
    named = str(data["kind"])
    kind = Kind(named) if named in Kind else Kind.MISSING
    return FileAnswerForm(kind=kind, references=files.still_open(kind, data.getlist("references")), data=data)


def write(form: FileAnswerForm, actor: User) -> int:
    """An answer to each, noted in the journal; to how many, for another person may have been faster."""
    kind, reason = Kind(form.cleaned_data["kind"]), form.cleaned_data["reason"]
    done = [
        file_discrepancies.record_answer(
            reference=reference, job_id=task_id_of(reference), kind=kind, reason=reason, actor=actor
        )
        for reference in form.cleaned_data["references"]
    ]
    for answer in (one for one, is_new in done if is_new):
        LogEntry.objects.log_actions(actor.pk, [answer], ADDITION, f"{answer.reference}: {answer.reason}")
    return sum(is_new for _answer, is_new in done)


def said(count: int) -> str:
    """What the page says afterwards."""
    return _("Answered: %(n)d.") % {"n": count}
