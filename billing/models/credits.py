"""Credit accounts and ledger entries. Written only by `billing.credits.ledger`."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock


class CreditAccount(models.Model):
    """One user's balance in whole user credits; it equals the sum of the user's ledger entries."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="credit_account", verbose_name=_("user")
    )
    balance = models.PositiveBigIntegerField(_("balance"), default=0, editable=False)
    created_at = models.DateTimeField(_("opened at"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("credit account")
        verbose_name_plural = _("credit accounts")
        constraints = (models.CheckConstraint(condition=Q(balance__gte=0), name="credit_account_balance_not_negative"),)

    def __str__(self) -> str:
        return f"{self.user} · {self.balance}"


class LedgerEntry(models.Model):
    """One movement of user credits. Append-only: the database refuses edits and deletes (migration 0002)."""

    class Kind(models.TextChoices):
        GRANT = "grant", _("Grant")
        PURCHASE = "purchase", _("Purchase")
        CHARGE = "charge", _("Charge")
        REFUND = "refund", _("Refund")
        ADJUSTMENT = "adjustment", _("Adjustment")
        EXPIRY = "expiry", _("Expiry")

    account = models.ForeignKey(CreditAccount, models.PROTECT, related_name="entries", verbose_name=_("account"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    amount = models.BigIntegerField(_("amount"), help_text=_("User credits; debits are negative."))
    balance_after = models.PositiveBigIntegerField(_("balance after"))
    idempotency_key = models.CharField(_("idempotency key"), max_length=200, unique=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True, db_index=True)
    # The job that was charged or refunded; `Spend.job_id` holds the same id.
    job_id = models.UUIDField(_("job"), null=True, blank=True, db_index=True)
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="reversed_by", verbose_name=_("refund of")
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("actor")
    )
    note = models.CharField(_("note"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("at"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger")
        ordering = ("-id",)
        indexes = (
            # One account's entries, newest first, for the user's statement.
            models.Index(fields=["account", "-id"], name="ledger_statement"),
            # All entries of a time range, for the daily summary and the date filter of the admin list.
            models.Index(fields=["created_at"], name="ledger_by_time"),
        )
        constraints = (
            models.CheckConstraint(condition=~Q(amount=0), name="ledger_amount_not_zero"),
            models.CheckConstraint(
                condition=Q(kind__in=["charge", "expiry"], amount__lt=0)
                | Q(kind__in=["grant", "purchase", "refund"], amount__gt=0)
                | Q(kind="adjustment"),
                name="ledger_sign_fits_kind",
            ),
            models.CheckConstraint(
                condition=Q(kind="refund", reverses__isnull=False) | (~Q(kind="refund") & Q(reverses__isnull=True)),
                name="ledger_refund_names_its_charge",
            ),
            models.CheckConstraint(condition=Q(balance_after__gte=F("amount")), name="ledger_balance_after_fits"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:+d}"
