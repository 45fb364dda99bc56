"""Results of comparing our records with the provider and with the files, and decisions of operators about them."""

from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from billing.models.provider import BalanceSnapshot, ProviderAccount


class ProviderEntry(models.Model):
    """A change of our provider balance that is not a job's cost. Append-only, like the ledger: the database refuses edits.

    Written by `billing.reconciliation`.
    """

    class Kind(models.TextChoices):
        TOP_UP = "top_up", _("Top-up")
        RETURNED = "returned", _("Returned by the provider")
        CORRECTION = "correction", _("Correction")

    account = models.ForeignKey(ProviderAccount, models.PROTECT, related_name="entries", verbose_name=_("account"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    amount = models.DecimalField(
        _("amount"), max_digits=14, decimal_places=4, help_text=_("Provider credits; debits are negative.")
    )
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("actor")
    )
    snapshot = models.ForeignKey(
        BalanceSnapshot, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("seen in")
    )
    job_id = models.UUIDField(_("job"), null=True, blank=True, db_index=True)
    idempotency_key = models.CharField(_("idempotency key"), max_length=200, unique=True)
    # `happened_at` is when the entry changed the balance, `created_at` when it was recorded.
    happened_at = models.DateTimeField(_("happened at"))
    created_at = models.DateTimeField(_("written at"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("provider entry")
        verbose_name_plural = _("provider entries")
        ordering = ("-happened_at", "-id")
        indexes = (
            # An account's entries in a time range.
            models.Index(fields=["account", "-happened_at"], name="provider_entry_history"),
        )
        constraints = (
            models.CheckConstraint(condition=~Q(amount=Decimal(0)), name="provider_entry_not_zero"),
            models.CheckConstraint(condition=~Q(reason=""), name="provider_entry_has_reason"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:+}"

    @property
    def reason_text(self) -> str:
        """The reason: an operator's text unchanged, an automatic one in the active language."""
        return self.reason if self.actor_id else gettext(self.reason)


class FileAnswer(models.Model):
    """An operator's explanation of a file that does not match what was paid for it. Append-only, like provider entries.

    `reference` is the reference of the job, or the name of a file without a job.

    Written by `billing.reconciliation.file_discrepancies`.
    """

    class Kind(models.TextChoices):
        MISSING = "missing", _("Stored, but the file is not there")
        UNPAID_FILE = "unpaid_file", _("Delivered, but without cost")
        PAID_WITHOUT_FILE = "paid_without_file", _("Paid, but there is no file")
        LATE = "late", _("Delivered free, after its refund")
        STRAY = "stray", _("On the disk, but belongs to no video")

    reference = models.CharField(_("reference"), max_length=300)
    job_id = models.UUIDField(_("job"), null=True, blank=True, db_index=True)
    kind = models.CharField(_("difference"), max_length=20, choices=Kind)
    provider_credits = models.DecimalField(
        _("provider credits"),
        max_digits=12,
        decimal_places=4,
        help_text=_("The cost of the job when the answer was given."),
    )
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("actor"))
    at = models.DateTimeField(_("at"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("answer about a file")
        verbose_name_plural = _("answers about files")
        ordering = ("-at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["reference", "kind"], name="file_answer_one_per_difference"),
            models.CheckConstraint(condition=~Q(reason=""), name="file_answer_has_reason"),
        )

    def __str__(self) -> str:
        return f"{self.reference} {self.kind}"


class BooksRun(models.Model):
    """One run of all checks of the books, and the problems found. Written by `billing.audit.runner`.

    The books are the records of credits, costs and files. An invariant is a rule that they must always satisfy.
    """

    at = models.DateTimeField(_("at"), default=clock.now)
    took_s = models.FloatField(_("took, in seconds"))
    is_deep = models.BooleanField(_("files read"), default=False)
    problems = models.PositiveIntegerField(_("problems"))
    # The number of problems by invariant. Empty if there are none, and in rows older than this field.
    counts = models.JSONField(_("by invariant"), default=dict)
    first_problems = models.JSONField(_("first problems"), default=list)

    class Meta:
        verbose_name = _("book check")
        verbose_name_plural = _("book checks")
        ordering = ("-at",)
        indexes = (models.Index(fields=["-at"], name="books_run_newest"),)

    # The checks run every 15 minutes, so three runs have been missed by then.
    LATE_AFTER = timedelta(minutes=45)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}: {self.problems}"

    def count_of(self, invariant: str) -> int:
        """The number of problems with this invariant; runs without `counts` only have `first_problems`."""
        if self.counts:
            return int(self.counts.get(invariant, 0))
        return sum(problem["invariant"] == invariant for problem in self.first_problems)

    @property
    def is_late(self) -> bool:
        """Whether the next run is overdue, so that this result may be outdated."""
        return clock.now() - self.at > self.LATE_AFTER

    @property
    def tone(self) -> str:
        """The colour of the result: `bad` with problems, `warn` if overdue, else `good`."""
        if self.problems:
            return "bad"
        return "warn" if self.is_late else "good"


class PriceProposal(models.Model):
    """A price (`seen`) that the provider seems to charge instead of ours (`listed`). An operator applies or dismisses it.

    Written by `billing.pricing.provider_price_changes`.
    """

    class Source(models.TextChoices):
        REPORTED = "reported", _("What finished videos cost")
        FEED = "feed", _("The provider's price feed")

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("price proposal", "Open")
        APPLIED = "applied", _("Applied")
        DISMISSED = "dismissed", _("Dismissed")

    model = models.CharField(_("model"), max_length=40)
    resolution = models.CharField(_("resolution"), max_length=8)
    kind = models.CharField(_("kind"), max_length=12)
    listed = models.DecimalField(_("our list"), max_digits=12, decimal_places=4, null=True, blank=True)
    seen = models.DecimalField(_("the provider"), max_digits=12, decimal_places=4)
    source = models.CharField(_("seen in"), max_length=10, choices=Source)
    times = models.PositiveIntegerField(_("times"), default=1)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    first_at = models.DateTimeField(_("first at"), default=clock.now)
    last_at = models.DateTimeField(_("last at"), default=clock.now)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )

    class Meta:
        verbose_name = _("price proposal")
        verbose_name_plural = _("price proposals")
        ordering = ("-last_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["model", "resolution", "kind", "seen"],
                condition=Q(state="open"),
                name="price_proposal_one_open",
            ),
            models.CheckConstraint(condition=Q(seen__gt=0), name="price_proposal_above_zero"),
        )

    def __str__(self) -> str:
        return f"{self.model} {self.resolution} {self.kind}: {self.listed} → {self.seen}"
