"""Runs the checks of the books and reports problems.

Each check verifies an *invariant*: a rule that our rows and files must always satisfy, named I1 to I22.

Each app registers its checks in its module `audit.checks`, which is imported by that name. A check reads with single
statements, each of which sees a consistent snapshot, so that it can run during normal operation.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from django.db import connection
from django.utils.module_loading import autodiscover_modules

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.models import BooksRun, LedgerEntry

log = logging.getLogger(__name__)

AUDIT_INTERVAL = timedelta(minutes=15)
KEEP_RUNS_FOR = timedelta(days=30)
# Problems stored with a run and listed in the alert, including some of each broken invariant. The command
# `check_books` prints all problems.
MAX_STORED_PROBLEMS = 50
MAX_ALERT_TEXT = 3900


@dataclass(frozen=True, order=True)
class Problem:
    """A violation of an invariant (I1 to I22) by the row or file `reference`."""

    invariant: str
    reference: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.reference}: {self.text}"


@dataclass(frozen=True)
class Coverage:
    """How much was covered by a check that may skip items: it checked `checked` of `total` items, which `what` names.

    The command `check_books` prints it.
    """

    what: str
    checked: int
    total: int

    def __str__(self) -> str:
        return f"{self.what}: {self.checked} of {self.total} checked"


class Check(Protocol):
    """A check yields problems and never changes what it checks. `deep` allows slow work such as reading every file."""

    def __call__(self, *, deep: bool) -> Iterable[Problem | Coverage]: ...


class AuditResult(NamedTuple):
    """The sorted problems of a run, and the coverage of checks that may not have checked everything."""

    problems: list[Problem]
    coverage: list[Coverage]


# The names of required triggers, by the database's vendor.
TriggerNames = dict[str, tuple[str, ...]]

_checks: dict[str, Check] = {}
# Faster checks for the frequent runs, keyed by the name of the slow check that each replaces.
_frequent_checks: dict[str, Check] = {}


def register_check(check: Check, *, frequent: Check | None = None) -> Check:
    """Add a check to every run; usable as a decorator. `frequent` is a faster check that replaces it in the worker's runs."""
    name = f"{check.__module__}.{getattr(check, '__name__', check)}"
    _checks[name] = check
    if frequent is not None:
        _frequent_checks[name] = frequent
    return check


def find_problems(*, deep: bool = False) -> list[Problem]:
    """Run all checks; returns all problems, sorted. Raises or resolves the alert BOOKS_UNBALANCED accordingly."""
    return _run_checks(deep=deep, frequent=False).problems


def run_audit(*, deep: bool = False, frequent: bool = False) -> AuditResult:
    """Run all checks and store the result as a BooksRun; delete runs older than KEEP_RUNS_FOR.

    `frequent` is set by the worker, which calls this every AUDIT_INTERVAL: faster checks then replace the slow ones.
    """
    started_at = clock.now()
    result = _run_checks(deep=deep, frequent=frequent)
    at = clock.now()
    BooksRun.objects.create(
        at=at,
        took_s=(at - started_at).total_seconds(),
        is_deep=deep,
        problems=len(result.problems),
        counts=Counter(problem.invariant for problem in result.problems),
        first_problems=[asdict(problem) for problem in sample_problems(result.problems, MAX_STORED_PROBLEMS)],
    )
    BooksRun.objects.filter(at__lt=at - KEEP_RUNS_FOR).delete()
    alerts.resolve_alerts(alerts.Kind.BOOKS_LATE)
    return result


def sample_problems(problems: Sequence[Problem], limit: int) -> list[Problem]:
    """At most `limit` problems, sorted. Includes some of each invariant, so that many of one do not hide those of another."""
    ranks: dict[str, int] = defaultdict(int)
    ranked = []
    for problem in sorted(problems):
        ranked.append((ranks[problem.invariant], problem))
        ranks[problem.invariant] += 1
    return sorted(problem for _rank, problem in sorted(ranked)[:limit])


def is_late(at: datetime) -> bool:
    """Whether the last run (before the first run: the first ledger entry) is more than LATE_AFTER ago."""
    run = get_last_run()
    since = run.at if run else LedgerEntry.objects.order_by("pk").values_list("created_at", flat=True).first()
    return since is not None and at - since > BooksRun.LATE_AFTER


def raise_late_alert() -> None:
    """Raise the alert BOOKS_LATE, which the next finished run resolves."""
    run = get_last_run()
    # `say` names the sentences of the alert (see `billing.alerts.messages`); `looked_at` is the time of the last run.
    facts = {"say": ["books_late"], "looked_at": run.at.isoformat()} if run else {"say": ["books_never"]}
    alerts.raise_alert(alerts.Kind.BOOKS_LATE, facts=facts)


def get_last_run() -> BooksRun | None:
    """The newest run; None before the first."""
    return BooksRun.objects.first()


def _run_checks(*, deep: bool, frequent: bool) -> AuditResult:
    autodiscover_modules("audit.checks")
    substitutes = _frequent_checks if frequent and not deep else {}
    checks = [substitutes.get(name, check) for name, check in _checks.items()]
    reports = {report for check in checks for report in check(deep=deep)}
    problems = sorted(report for report in reports if isinstance(report, Problem))
    coverage = sorted((report for report in reports if isinstance(report, Coverage)), key=str)
    if problems:
        log.error("the books have %d problems, first %s", len(problems), problems[0])
        text = "\n".join(map(str, sample_problems(problems, MAX_STORED_PROBLEMS)))
        alerts.raise_alert(
            alerts.Kind.BOOKS_UNBALANCED, facts={"problems": len(problems), "words": text[:MAX_ALERT_TEXT]}
        )
    else:
        alerts.resolve_alerts(alerts.Kind.BOOKS_UNBALANCED)
    return AuditResult(problems, coverage)


def find_missing_triggers(*, invariant: str, names: TriggerNames) -> Iterable[Problem]:
    """Yield a problem for each required trigger that is missing, disabled or without effect."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS[connection.vendor])
        present = {row[0] for row in cursor.fetchall()}
    for name in names[connection.vendor]:
        if name not in present:
            yield Problem(invariant, name, "the trigger that protects history is missing or disabled")


_TRIGGERS = {
    "postgresql": """
        SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
        WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND prosrc LIKE '%RAISE EXCEPTION%'
    """,
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%RAISE(ABORT%'",
}
