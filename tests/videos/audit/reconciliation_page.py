"""Reading the reconciliation page and answering on it, for tests."""

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
    at = Spend.objects.latest("settled_at").settled_at
    assert at is not None
    return paid_files.PaidFileComparison(account=account, after=at - timedelta(hours=1), until=at, run=run).summarize()
