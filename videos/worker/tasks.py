"""The jobs of django-q2. Each takes no arguments, handles whatever is due, and may safely run twice, late or never."""

from billing.audit import runner as billing_books
from billing.common import run_all
from billing.credits import expired_lots
from billing.pricing import margins, provider_price_changes
from billing.reconciliation import top_ups
from videos import job_queue
from videos.audit import recount
from videos.notifications import alert_delivery, daily_summary, user_mails
from videos.pipeline import balances as provider_balances
from videos.pipeline import dispatch as dispatching
from videos.pipeline import downloads, polling
from videos.worker import sweep


def dispatch() -> None:
    """Send waiting videos."""
    job_queue.mark_started("dispatch")
    dispatching.dispatch_due()


def poll() -> None:
    """Poll the provider for verdicts."""
    job_queue.mark_started("poll")
    polling.poll_due()


def download() -> None:
    """Fetch, check and store finished videos."""
    job_queue.mark_started("download")
    downloads.download_due()


def count() -> None:
    """Add the new counts (of status changes, credits and costs) to the totals that pages read."""
    job_queue.mark_started("count")
    recount.fold()


def tidy() -> None:
    """Run the regular repairs: tasks of dead workers, orders that wait too long, old files."""
    job_queue.mark_started("tidy")
    sweep.tidy()


def balance() -> None:
    """Read the provider's balance."""
    job_queue.mark_started("balance")
    provider_balances.read_all()


def notify() -> None:
    """Mail users who want to be notified about their videos."""
    job_queue.mark_started("notify")
    user_mails.send_due()


def alerts() -> None:
    """Deliver alerts to operators."""
    job_queue.mark_started("alerts")
    alert_delivery.deliver_due()


def summary() -> None:
    """Send the operators' daily summary."""
    job_queue.mark_started("summary")
    daily_summary.send_due()


def canary() -> None:
    """Do nothing: the supervisor checks that this job starts, as proof that jobs run."""
    job_queue.mark_started("canary")


def books() -> None:
    """Audit the books: check the rules that the ledger, the costs and the tasks must keep."""
    job_queue.mark_started("books")
    billing_books.run_audit(frequent=True)


def reconcile() -> None:
    """Compare the provider's balance with our books, and its prices with our price list and with what users pay."""
    job_queue.mark_started("reconcile")
    run_all.run_all_then_raise(
        top_ups.reconcile_accounts, provider_price_changes.propose_from_reported_costs, margins.update_margin_alerts
    )


def lots() -> None:
    """Remove expired credits and tell users which of theirs expire next. A lot is a grant of credits that expires."""
    job_queue.mark_started("lots")
    expired_lots.run()
