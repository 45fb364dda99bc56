"""Budgets and their usage. `billing.budgets.limits` stores limits; only `billing.budgets.usage` writes windows."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock


class Period(models.TextChoices):
    """The length of a window: an hour, a day or a month on the calendar of the site's time zone."""

    HOUR = "hour", _("Hour")
    DAY = "day", _("Day")
    MONTH = "month", _("Month")


class Budget(models.Model):
    """A limit in provider credits, set in the admin. It replaces the environment's limit with the same key."""

    class Subject(models.TextChoices):
        ALL = "all", _("All videos")
        EACH_USER = "each_user", _("Each user")
        USER = "user", _("One user")
        MODEL = "model", _("One model")

    subject = models.CharField(_("for"), max_length=10, choices=Subject, default=Subject.ALL)
    period = models.CharField(_("per"), max_length=5, choices=Period)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    model = models.CharField(_("model"), max_length=40, blank=True)
    limit = models.DecimalField(
        _("limit"),
        max_digits=14,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_(
            "In provider credits. Empty: no limit, even if the environment sets one. Zero: nothing may be spent."
        ),
    )
    soft_share = models.DecimalField(
        _("warn at"), max_digits=4, decimal_places=3, default=Decimal("0.8"), help_text=_("A share of the limit: 0.8.")
    )
    # Subject, owner and period in one text, for example `user:5:day` (see `billing.budgets.limits.limit_key`).
    key = models.CharField(max_length=80, unique=True, editable=False)
    changed_at = models.DateTimeField(_("changed at"), default=clock.now, editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering = ("subject", "period", "key")
        constraints = (
            models.CheckConstraint(condition=Q(limit__isnull=True) | Q(limit__gte=0), name="budget_limit_not_negative"),
            models.CheckConstraint(condition=Q(soft_share__gt=0, soft_share__lte=1), name="budget_share_is_a_share"),
            models.CheckConstraint(
                condition=Q(subject="user", user__isnull=False) | (~Q(subject="user") & Q(user__isnull=True)),
                name="budget_of_a_user_names_one",
            ),
            models.CheckConstraint(
                condition=(Q(subject="model") & ~Q(model="")) | (~Q(subject="model") & Q(model="")),
                name="budget_of_a_model_names_one",
            ),
        )

    def __str__(self) -> str:
        owners = {self.Subject.USER: str(self.user), self.Subject.MODEL: self.model}
        return f"{owners.get(self.Subject(self.subject), self.get_subject_display())} · {self.get_period_display()}"


class BudgetWindow(models.Model):
    """Provider credits reserved and spent in one window, which is a calendar period of a scope.

    `used` changes only by conditional updates, so that concurrent jobs cannot exceed a limit.
    """

    # "all", "user:<id>" or "model:<name>". There is one window for each scope, period and start.
    scope = models.CharField(_("scope"), max_length=60)
    period = models.CharField(_("per"), max_length=5, choices=Period)
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    used = models.DecimalField(_("used"), max_digits=14, decimal_places=4, default=Decimal(0))

    class Meta:
        verbose_name = _("budget window")
        verbose_name_plural = _("budget windows")
        ordering = ("-starts_at",)
        constraints = (
            models.UniqueConstraint(fields=["scope", "period", "starts_at"], name="budget_window_one"),
            models.CheckConstraint(condition=Q(used__gte=0), name="budget_window_used_not_negative"),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.period} {self.starts_at:%Y-%m-%d %H:%M}: {self.used}"
