"""Helpers that read the reconciliation page and the figures behind it."""

import re
from datetime import timedelta

from billing.models import BooksRun, ProviderAccount, Spend
from videos.audit import paid_files

PAGE = "/admin/reconciliation/"


def page_text(html: str) -> str:
    """The page's text without markup."""
    body = html[html.index("<main") : html.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def summarize_files(account: ProviderAccount, run: BooksRun | None = None) -> paid_files.PaidFiles:
    last_settled_at = Spend.objects.latest("settled_at").settled_at
    assert last_settled_at is not None
    return paid_files.PaidFileComparison(
        account=account, after=last_settled_at - timedelta(hours=1), until=last_settled_at, run=run
    ).summarize()
