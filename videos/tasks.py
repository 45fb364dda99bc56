"""The jobs of django-q2: doors that say "look now". Each takes nothing, calls one act, and may run twice, late or never."""

from billing import books as billing_books
from billing import chores, expiry, margins, price_changes, top_ups
from videos import alert_delivery, balances, daily_summary, doorbells, downloads, notices, polling, recount, sweep
from videos import dispatch as dispatching


def dispatch() -> None:
    """Send waiting videos."""
    doorbells.answer("dispatch")
    dispatching.dispatch_due()


def poll() -> None:
    """Ask for verdicts."""
    doorbells.answer("poll")
    polling.poll_due()


def download() -> None:
    """Fetch, check and store results."""
    doorbells.answer("download")
    downloads.download_due()


def count() -> None:
    """Fold what was counted into totals."""
    doorbells.answer("count")
    recount.fold()


def tidy() -> None:
    """Heal what was lost: dead leases, waits that outlived the promise, old files."""
    doorbells.answer("tidy")
    sweep.tidy()


def balance() -> None:
    """Read the provider's balance."""
    doorbells.answer("balance")
    balances.read_all()


def notify() -> None:
    """Mail those who asked to be told."""
    doorbells.answer("notify")
    notices.notify_due()


def alerts() -> None:
    """Tell operators of alerts."""
    doorbells.answer("alerts")
    alert_delivery.deliver_due()


def summary() -> None:
    """Send the operators' morning mail."""
    doorbells.answer("summary")
    daily_summary.send_due()


def canary() -> None:
    """Prove that jobs run; the supervisor watches for this answer."""
    doorbells.answer("canary")


def books() -> None:
    """Look whether the books balance."""
    doorbells.answer("books")
    billing_books.look(often=True)


def reconcile() -> None:
    """Compare the provider's balance with our books, its prices with our list, and what users pay with both."""
    doorbells.answer("reconcile")
    chores.each(top_ups.look, price_changes.look, margins.check)


def lots() -> None:
    """Take out credits whose time has come, and announce what is next."""
    doorbells.answer("lots")
    expiry.run()
