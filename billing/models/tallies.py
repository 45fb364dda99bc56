"""Stored sums, so that pages need not count single rows. Only `billing.costs.rollups` writes them.

A *mark* is a pending increment: it is inserted without a lock, in the transaction that changes what is counted. Soon after,
marks are *folded*: added to the totals and deleted. Readers add the pending marks to the totals, so that sums are always
exact.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.budgets import Period


class Measure(models.TextChoices):
    """What is counted. A job's measures all belong to the hour in which it was *ordered*, so that sums are comparable."""

    ORDERED = "ordered"  # jobs
    ESTIMATED = "estimated"  # provider credits
    SETTLED = "settled"  # jobs with a known cost
    SETTLED_ESTIMATE = "settled_estimate"  # provider credits: the estimates of settled jobs
    ACTUAL = "actual"  # provider credits
    CHARGED = "charged"  # user credits
    REFUNDED = "refunded"  # user credits
    READY = "ready"  # jobs
    FAILED = "failed"  # jobs
    CANCELLED = "cancelled"  # jobs
    FAILURE = "failure"  # failed jobs by reason: the label is the failure code
    VERDICT = "verdict"  # results by how we learned of them: the label is callback, poll or repair
    GENERATION = "generation"  # jobs by seconds from sending to result: the label is a `billing.costs.histogram` bucket
    WAIT = "wait"  # jobs by the seconds from order to sending: the label is such a bucket too


class TallyMark(models.Model):
    """A pending increment, which is not folded into the totals yet."""

    hour = models.DateTimeField()
    model = models.CharField(max_length=40)
    user_id = models.BigIntegerField()
    measure = models.CharField(max_length=20)
    label = models.CharField(max_length=40, blank=True)
    amount = models.DecimalField(max_digits=16, decimal_places=4)

    def __str__(self) -> str:
        return f"{self.measure} {self.amount:+}"


class Total(models.Model):
    """A sum over one calendar period: of one model for all users, or of one user for all models (then `model` is empty)."""

    period = models.CharField(_("per"), max_length=5, choices=Period)
    starts_at = models.DateTimeField(_("from"))
    user_id = models.BigIntegerField(default=0)  # 0: all users
    model = models.CharField(max_length=40, blank=True)
    measure = models.CharField(max_length=20)
    label = models.CharField(max_length=40, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4)

    class Meta:
        constraints = (
            # This field order keeps the sums of a time range together, for all users and for each user.
            models.UniqueConstraint(
                fields=["user_id", "period", "starts_at", "measure", "model", "label"], name="total_one"
            ),
        )
        indexes = (
            # Ranking users by a measure.
            models.Index(
                fields=["period", "measure", "starts_at", "user_id", "amount"],
                name="total_ranking",
                condition=Q(user_id__gt=0),
            ),
        )

    def __str__(self) -> str:
        return f"{self.period} {self.starts_at:%Y-%m-%d %H:%M} {self.model} {self.measure}: {self.amount}"
