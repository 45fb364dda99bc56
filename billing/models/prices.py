"""The price list. New prices are added in the admin or by `billing.pricing`, which also reads them; none is edited."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock


class Price(models.Model):
    """The cost of a job to us (provider credits) and to its user (user credits) from `valid_from` on."""

    class Kind(models.TextChoices):
        GENERATE = "generate", _("Video from text or frames")
        REFERENCE = "reference", _("Video from reference images")
        EXTEND = "extend", _("Extension")
        UPSCALE_1080P = "1080p", _("Upscale to 1080p")
        UPSCALE_4K = "4k", _("Upscale to 4K")

    model = models.CharField(_("model"), max_length=40)
    resolution = models.CharField(_("resolution"), max_length=8)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.GENERATE)
    provider_credits = models.DecimalField(_("provider credits"), max_digits=12, decimal_places=4)
    user_credits = models.PositiveIntegerField(_("user credits"))
    valid_from = models.DateTimeField(_("valid from"), default=clock.now)

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ("kind", "model", "resolution", "-valid_from")
        constraints = (
            models.UniqueConstraint(
                fields=["model", "resolution", "kind", "valid_from"], name="price_one_per_item_and_time"
            ),
            models.CheckConstraint(
                condition=Q(provider_credits__gt=0) & Q(user_credits__gt=0), name="price_above_zero"
            ),
        )

    def __str__(self) -> str:
        return f"{self.model} {self.resolution} {self.kind}"
