"""Credit lots and vouchers. Written only by `billing.credits`."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from billing.models.credits import CreditAccount, LedgerEntry


class CreditLot(models.Model):
    """The credits that remain of one grant. They may expire, each lot on its own date.

    The remaining credits of all lots of an account add up to its balance. The lot that expires first is spent first.
    """

    account = models.ForeignKey(CreditAccount, models.PROTECT, related_name="lots", verbose_name=_("account"))
    # The entry that opened the lot: it added credits, or it is the refund that opened a grace lot.
    entry = models.OneToOneField(LedgerEntry, models.PROTECT, null=True, blank=True, related_name="lot")
    granted = models.PositiveBigIntegerField(_("granted"))
    remaining = models.PositiveBigIntegerField(_("left"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    # A grace lot holds refunded credits whose own lot has expired (see `billing.credits.lots`).
    is_grace = models.BooleanField(_("grace"), default=False)
    expired_at = models.DateTimeField(_("expired at"), null=True, blank=True, editable=False)
    week_warned_at = models.DateTimeField(null=True, blank=True, editable=False)
    day_warned_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("at"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("credit lot")
        verbose_name_plural = _("credit lots")
        ordering = (F("expires_at").asc(nulls_last=True), "id")
        indexes = (
            # Both indexes hold only lots with credits left: what an account can spend, and what expires next.
            models.Index(fields=["account", "expires_at"], name="lot_spendable", condition=Q(remaining__gt=0)),
            models.Index(
                fields=["expires_at"], name="lot_expiring", condition=Q(remaining__gt=0, expires_at__isnull=False)
            ),
        )
        constraints = (
            models.CheckConstraint(condition=Q(remaining__gte=0), name="lot_remaining_not_negative"),
            # A refund returns at most what was taken from the lot.
            models.CheckConstraint(condition=Q(remaining__lte=F("granted")), name="lot_remaining_at_most_granted"),
        )

    def __str__(self) -> str:
        return f"{self.remaining} of {self.granted}"


class LotUse(models.Model):
    """The amount that an entry took from a lot (charge, expiry, adjustment down) or returned to it (refund)."""

    lot = models.ForeignKey(CreditLot, models.PROTECT, related_name="uses")
    entry = models.ForeignKey(LedgerEntry, models.PROTECT, related_name="lot_uses")
    amount = models.PositiveBigIntegerField(_("amount"))

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["lot", "entry"], name="lot_use_once_per_entry"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="lot_use_above_zero"),
        )

    def __str__(self) -> str:
        return f"{self.amount} of lot {self.lot_id}"


class Voucher(models.Model):
    """A code that gives credits, once per user, up to `max_uses` times."""

    code = models.CharField(_("code"), max_length=40, unique=True)
    user_credits = models.PositiveIntegerField(_("user credits"))
    max_uses = models.PositiveIntegerField(_("maximum uses"), default=1)
    uses = models.PositiveIntegerField(_("used"), default=0, editable=False)
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    credits_last_days = models.PositiveIntegerField(
        _("credits valid for (days)"), null=True, blank=True, help_text=_("Empty: they do not expire.")
    )
    note = models.CharField(_("note"), max_length=300, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )

    class Meta:
        verbose_name = _("voucher")
        verbose_name_plural = _("vouchers")
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(condition=Q(user_credits__gt=0) & Q(max_uses__gt=0), name="voucher_gives_something"),
            models.CheckConstraint(condition=Q(uses__lte=F("max_uses")), name="voucher_used_at_most"),
        )

    def __str__(self) -> str:
        return self.code


class VoucherUse(models.Model):
    """One redemption of a voucher by a user; `entry` is the ledger entry that granted the credits."""

    voucher = models.ForeignKey(Voucher, models.PROTECT, related_name="redemptions", verbose_name=_("voucher"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("user"))
    entry = models.OneToOneField(LedgerEntry, models.PROTECT, related_name="voucher_use", verbose_name=_("entry"))
    used_at = models.DateTimeField(_("at"), default=clock.now)

    class Meta:
        verbose_name = _("voucher use")
        verbose_name_plural = _("voucher uses")
        ordering = ("-used_at",)
        constraints = (models.UniqueConstraint(fields=["voucher", "user"], name="voucher_once_per_user"),)

    def __str__(self) -> str:
        return f"{self.voucher_id} by {self.user_id}"
