"""The purse: the balance and every movement of it."""

from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import User
from billing import ledger

PAGE = 50
Kind = ledger.Kind

FILTERS: dict[str, tuple[Promise | str, list[str]]] = {
    "": (_("All"), Kind.values),
    "videos": (_("Videos"), [Kind.CHARGE]),
    "refunds": (_("Refunds"), [Kind.REFUND]),
    "received": (_("Received"), [Kind.GRANT, Kind.PURCHASE]),
    "other": (_("Other"), [Kind.ADJUSTMENT, Kind.EXPIRY]),
}


@login_required
@require_safe
def credits(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    kind = request.GET.get("kind", "")
    kind = kind if kind in FILTERS else ""
    entries = ledger.statement(user).filter(kind__in=FILTERS[kind][1]).order_by("-pk")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit():
        entries = entries.filter(pk__lt=min(int(before), 2**63 - 1))
    page = list(entries[: PAGE + 1])
    return render(
        request,
        "billing/credits.html",
        {
            "balance": ledger.balance_of(user),
            "entries": page[:PAGE],
            "older": page[PAGE - 1].pk if len(page) > PAGE else None,
            "newest": bool(before),
            "kind": kind,
            "filters": [(key, label, key == kind) for key, (label, _kinds) in FILTERS.items()],
            "signup_credits": settings.SIGNUP_CREDITS,
        },
    )
