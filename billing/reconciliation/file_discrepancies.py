"""Stores operators' answers about files that do not match what was paid.

An answer explains one discrepancy and is never changed.
"""

from uuid import UUID

from accounts.models import User
from billing.models import FileAnswer, Spend

Kind = FileAnswer.Kind
REASON_LENGTH = 500


def record_answer(
    *, reference: str, job_id: UUID | None, kind: Kind, reason: str, actor: User
) -> tuple[FileAnswer, bool]:
    """Store the answer about a discrepancy unless there is one. Returns the stored answer and whether it is new.

    Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("an answer needs a reason")
    cost = Spend.objects.filter(job_id=job_id).values_list("actual", flat=True).first() if job_id else None
    return FileAnswer.objects.get_or_create(
        reference=reference,
        kind=kind,
        defaults={
            "job_id": job_id,
            "provider_credits": cost or 0,
            "reason": reason.strip()[:REASON_LENGTH],
            "actor": actor,
        },
    )


def list_answered(kind: Kind) -> set[str]:
    """The references of all discrepancies of this kind that have an answer."""
    return set(FileAnswer.objects.filter(kind=kind).order_by().values_list("reference", flat=True))
