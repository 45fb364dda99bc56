"""Measures the operators' dashboard, and how fast a worker claims the next waiting job, over a long history.

A job is one ordered video: a `VideoTask` with its `Spend`. Totals are stored sums of jobs, so that pages need not read
the jobs; `videos.audit.recount` computes them again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import User
from accounts.seams import clock
from billing.common.periods import window_at
from billing.models import Period, ProviderAccount, Spend, Total
from billing.provider import accounts as provider_accounts
from veoapp.benchmark import history, scratch_database
from veoapp.benchmark.timing import Timing, measure_time
from videos.audit import recount
from videos.lifecycle import status_changes as lifecycle
from videos.pipeline import dispatch

# The date ranges of the dashboard and their lengths in days.
RANGES = {"today": 1, "7d": 7, "30d": 30, "year": 365}
TARGET_MS, TARGET_QUERIES = 150, 12
BACKLOG = 1_000  # waiting jobs
# How often each measurement is repeated: pages, claims, and figures computed from the rows of jobs.
RUNS, CLAIMS, DIRECT_RUNS = 20, 20, 3

Log = Callable[[str], object]


@dataclass
class Result:
    """The measurements.

    `pages` has the loading time of the dashboard for each date range, and `empty` the loading time before the history
    is written. `direct` has the time to compute the figures from the rows of jobs instead of totals. `claim` and
    `claim_without_history` are the times to claim a waiting job with and without the history. `totals` counts rows.
    """

    tasks: int
    filled_s: float = 0
    recounted_s: float = 0
    totals: int = 0
    pages: dict[str, Timing] = field(default_factory=dict)
    empty: dict[str, Timing] = field(default_factory=dict)
    direct: dict[str, Timing] = field(default_factory=dict)
    claim: Timing | None = None
    claim_without_history: Timing | None = None

    @property
    def is_within_targets(self) -> bool:
        return all(timing.median_ms <= TARGET_MS and timing.queries <= TARGET_QUERIES for timing in self.pages.values())


def run_benchmark(*, tasks: int, log: Log) -> Result:
    """Measure in a scratch database with this many finished jobs of the last year."""
    result = Result(tasks)
    with _benchmark_settings(), scratch_database.open_database() as name:
        log(f"Scratch database {name}; it is dropped at the end.")
        until = clock.database_now()
        since = until - timedelta(days=365)
        client = _sign_in_operator()
        result.empty = _measure_pages(client)
        _prepare_account()
        history.create_users(min(max(tasks // 100, 10), history.MAX_USERS))
        history.create_queued_jobs(BACKLOG, until=until)
        history.analyze_tables()
        result.claim_without_history = _measure_claims()
        log(f"Writing {tasks:,} tasks ...")
        started = perf_counter()
        history.create_finished_jobs(tasks, since=since, until=until)
        history.create_balance_history(since=since, until=until)
        result.filled_s = round(perf_counter() - started, 1)
        log(f"Counting them (the real recount), after {result.filled_s:g} s ...")
        started = perf_counter()
        recount.fold()
        result.recounted_s = round(perf_counter() - started, 1)
        result.totals = Total.objects.count()
        history.analyze_tables()
        log(f"Measuring, after {result.recounted_s:g} s ...")
        result.pages = _measure_pages(client)
        result.direct = {key: measure_time(lambda: _compute_from_rows(key, until), runs=DIRECT_RUNS) for key in RANGES}  # noqa: B023  called immediately
        result.claim = _measure_claims()
    return result


def format_table(result: Result) -> Iterator[str]:
    """Yield the result as lines of text."""
    yield f"{result.tasks:,} tasks written in {result.filled_s:g} s; {result.totals:,} totals in {result.recounted_s:g} s"
    yield ""
    yield f"{'dashboard':<10}{'best':>9}{'median':>9}{'p95':>9}{'queries':>9}{'of empty':>10}{'rows instead':>14}"
    for key, page in result.pages.items():
        times = f"{page.median_ms / result.empty[key].median_ms:.2f} x"
        direct = f"{result.direct[key].median_ms / page.median_ms:.1f} x"
        durations = "".join(f"{ms:>6.0f} ms" for ms in (page.best_ms, page.median_ms, page.p95_ms))
        yield f"{key:<10}{durations}{page.queries:>9}{times:>10}{direct:>14}"
    yield f"targets: {TARGET_MS} ms, {TARGET_QUERIES} queries: {'met' if result.is_within_targets else 'MISSED'}"
    yield ""
    if result.claim and result.claim_without_history:
        claim, reference = result.claim, result.claim_without_history
        yield (
            f"claim of the next of {BACKLOG:,} waiting jobs: {claim.median_ms:.1f} ms, {claim.queries} queries, "
            f"{claim.median_ms / reference.median_ms:.2f} x the same without a history"
        )


def build_report(result: Result) -> dict[str, Any]:
    """Return the result as JSON data."""
    return {
        "tasks": result.tasks,
        "filled_s": result.filled_s,
        "recounted_s": result.recounted_s,
        "totals": result.totals,
        **{
            name: {key: timing.as_dict for key, timing in getattr(result, name).items()}
            for name in ("pages", "empty", "direct")
        },
        "claim": result.claim and result.claim.as_dict,
        "claim_without_history": result.claim_without_history and result.claim_without_history.as_dict,
        "within_targets": result.is_within_targets,
    }


@contextmanager
def _benchmark_settings() -> Iterator[None]:
    """Use settings as in production, but allow the test client and do not limit claims."""
    storages = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    with override_settings(
        DEBUG=False,
        ALLOWED_HOSTS=["testserver"],
        SECURE_SSL_REDIRECT=False,
        STAFF_MFA_REQUIRED=True,
        STORAGES=storages,
        KIE_AI_API_KEY="benchmark-key",
        PROVIDER_RATE_LIMIT=10_000,
        MAX_CONCURRENT_VIDEOS=10_000,
        MAX_CONCURRENT_PER_USER=10_000,
        HOURLY_COST_LIMIT=Decimal(10**9),
        DAILY_COST_LIMIT=Decimal(10**9),
        MONTHLY_COST_LIMIT=Decimal(10**9),
    ):
        yield


def _sign_in_operator() -> Client:
    operator = User.objects.create_superuser("operator@benchmark.invalid")
    client = Client()
    client.force_login(operator, backend=settings.AUTHENTICATION_BACKENDS[0])
    # The pages require a login with a second factor.
    Authenticator.objects.create(user=operator, type=Authenticator.Type.TOTP, data={})
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, operator, method="mfa", type="totp")
    request.session.save()
    return client


def _measure_pages(client: Client) -> dict[str, Timing]:
    return {key: measure_time(lambda: _load_page(client, key), runs=RUNS) for key in RANGES}  # noqa: B023  called immediately


def _load_page(client: Client, key: str) -> None:
    response = client.get(reverse("admin:index"), {"range": key})
    if response.status_code != 200:
        raise RuntimeError(
            f"the dashboard responded {response.status_code} {response.headers.get('Location', '')}".rstrip()
        )


def _compute_from_rows(key: str, until: datetime) -> None:
    """Compute the figures from the rows of jobs, as the page would have to without totals."""
    since = window_at(Period.DAY, until - timedelta(days=RANGES[key] - 1)).starts_at
    jobs = Spend.objects.filter(created_at__gte=since)
    for columns in (("created_at__date", "model"), ("user",)):
        list(
            jobs.order_by().values(*columns).annotate(jobs=Count("id"), estimates=Sum("estimated"), costs=Sum("actual"))
        )


def _prepare_account() -> ProviderAccount:
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(50_000))
    return account


def _measure_claims() -> Timing:
    account = _prepare_account()
    claims: list[dispatch.Claim] = []

    def claim() -> None:
        result = dispatch.claim_next(account.pk)
        if not isinstance(result, dispatch.Claim):
            raise RuntimeError(f"nothing was claimed: {result}")
        claims.append(result)

    def accept() -> None:
        """Record that the provider accepted the claimed jobs, so that no claim is left open. This is not measured."""
        while claims:
            task = claims.pop().task  # its `fence` proves that this claim is the latest one
            lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id=f"late:{task.pk}", due_in_s=60)

    return measure_time(claim, runs=CLAIMS, before_each=accept)
