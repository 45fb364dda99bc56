"""Texts that explain to owners and operators why a queued job does not start now, by the code of a `checks.Wait`.

Codes that `checks` does not return are set by `videos.pipeline.dispatch`, for example `images` and `rate_limited`.
"""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.guard.checks import ABOVE_LIMIT, SLOWED

OWNER_TEXTS: dict[str, Promise] = {
    "slot": _("all slots are in use"),
    "own_slot": _("your other videos come first"),
    "rate": _("the provider's rate limit is reached"),
    "paused": _("new videos are paused by the operator"),
    "held": _("an operator is reviewing your orders"),
    "out_of_credits": _("the operator has to top up the provider account"),
    "access_denied": _("the operator has to restore access to the provider"),
    "balance": _("the operator has to top up the provider account"),
    "balance_unknown": _("checking the provider balance"),
    "breaker": _("the provider has problems; we try again soon"),
    "rate_limited": _("the provider asked us to slow down; we try again soon"),
    "unavailable": _("the provider is under maintenance; we try again soon"),
    "not_sent": _("the provider could not be reached; we try again soon"),
    "images": _("sending your images to the provider"),
    "budget_hour": _("this hour's budget is spent"),
    "budget_day": _("today's budget is spent"),
    "budget_month": _("this month's budget is spent"),
    SLOWED: _("most of the budget is spent, so new videos start one after the other"),
    "budget_user": _("your spending limit is reached"),
    "budget_model": _("the budget for this model is spent"),
    ABOVE_LIMIT: _("it costs more than the operator's limit; it continues when the limit is raised"),
}

OPERATOR_TEXTS: dict[str, Promise] = OWNER_TEXTS | {
    "own_slot": _("other videos of the same user come first"),
    "paused": _("new videos are paused"),
    "held": _("the user's new videos are held"),
    "out_of_credits": _("the provider account is out of credits: top it up"),
    "access_denied": _("the provider refuses our key or address: correct it"),
    "balance": _("the provider balance is at its critical threshold: top it up"),
    "images": _("sending the user's images to the provider"),
    "budget_user": _("the user's budget is spent"),
    ABOVE_LIMIT: _("it costs more than the whole budget: raise the budget or cancel the video"),
}
