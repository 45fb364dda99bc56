"""Do the books balance? Every invariant that can be read from our own rows and files, with the name it has in its catalogue.

Each app registers its own from a module `book_checks`, which is found by its name. A check reads in single statements,
each of which sees one moment, so that it may run beside everything else.
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
# So many problems are kept with a look, some of each invariant; the alert names what its text can hold, the command all.
PROBLEMS_KEPT = 50
LINES_TOLD = 3900


@dataclass(frozen=True, order=True)
class Problem:
    """Something that must never be. `invariant` as in the catalogue (I1 to I22), `reference` names row or file."""

    invariant: str
    reference: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.reference}: {self.text}"


@dataclass(frozen=True)
class Coverage:
    """How far a check went that cannot always look at everything: `seen` of `of` things, named for the command's reader."""

    what: str
    seen: int
    of: int

    def __str__(self) -> str:
        return f"{self.what}: {self.seen} of {self.of} looked at"


class Check(Protocol):
    """Reads and reports, changes nothing that it reports on. `deep` allows what takes long: reading every file."""

    def __call__(self, *, deep: bool) -> Iterable[Problem | Coverage]: ...


class AuditResult(NamedTuple):
    """What a look found: the problems, sorted, and how far it went where it may not have looked at everything."""

    problems: list[Problem]
    looked: list[Coverage]


# The names of triggers that must be there, by the database's vendor.
TriggerNames = dict[str, tuple[str, ...]]

_checks: dict[str, Check] = {}
# What stands in for a check in the looks that come often, by the check's name.
_often: dict[str, Check] = {}


def register_check(check: Check, *, often: Check | None = None) -> Check:
    """Let a check be part of every look at the books; a decorator. `often` takes its place in those of every quarter."""
    name = f"{check.__module__}.{getattr(check, '__name__', check)}"
    _checks[name] = check
    if often is not None:
        _often[name] = often
    return check


def find_problems(*, deep: bool = False) -> list[Problem]:
    """Every problem, sorted; raises the alert BOOKS when there is one, ends it when there is none."""
    return _examine(deep=deep, often=False).problems


def run_audit(*, deep: bool = False, often: bool = False) -> AuditResult:
    """`check`, written down for whoever asks later how the books stood; looks older than RUNS_KEPT are forgotten.

    `often` is for the worker, who looks every quarter of an hour: what takes long is then looked at a part at a time.
    """
    began = clock.now()
    found = _examine(deep=deep, often=often)
    at = clock.now()
    BooksRun.objects.create(
        at=at,
        took_s=(at - began).total_seconds(),
        is_deep=deep,
        problems=len(found.problems),
        counts=Counter(problem.invariant for problem in found.problems),
        first_problems=[asdict(problem) for problem in sample_problems(found.problems, PROBLEMS_KEPT)],
    )
    BooksRun.objects.filter(at__lt=at - KEEP_RUNS_FOR).delete()
    alerts.resolve_alerts(alerts.Kind.BOOKS_LATE)
    return found


def sample_problems(problems: Sequence[Problem], most: int) -> list[Problem]:
    """So many problems at most, sorted, and of each invariant some: many of one must not hide the only one of another."""
    ranks: dict[str, int] = defaultdict(int)
    ranked = []
    for problem in sorted(problems):
        ranked.append((ranks[problem.invariant], problem))
        ranks[problem.invariant] += 1
    return sorted(problem for _rank, problem in sorted(ranked)[:most])


def is_late(at: datetime) -> bool:
    """Whether the next look should have ended long ago, or the first: since there is something to look at."""
    run = get_last_run()
    since = run.at if run else LedgerEntry.objects.order_by("pk").values_list("created_at", flat=True).first()
    return since is not None and at - since > BooksRun.LATE_AFTER


def raise_late_alert() -> None:
    """Raise the alert BOOKS_LATE, which the next look that comes to its end takes back."""
    run = get_last_run()
    facts = {"say": ["books_late"], "looked_at": run.at.isoformat()} if run else {"say": ["books_never"]}
    alerts.raise_alert(alerts.Kind.BOOKS_LATE, facts=facts)


def get_last_run() -> BooksRun | None:
    """The newest look at the books; None before the first. Its `tone` and words are in `admin/_books_badge.html`."""
    return BooksRun.objects.first()


def _examine(*, deep: bool, often: bool) -> AuditResult:
    autodiscover_modules("audit.checks")
    stand_ins = _often if often and not deep else {}
    chosen = [stand_ins.get(name, one) for name, one in _checks.items()]
    reports = {report for one in chosen for report in one(deep=deep)}
    problems = sorted(report for report in reports if isinstance(report, Problem))
    looked = sorted((report for report in reports if isinstance(report, Coverage)), key=str)
    if problems:
        log.error("the books have %d problems, first %s", len(problems), problems[0])
        lines = "\n".join(map(str, sample_problems(problems, PROBLEMS_KEPT)))
        alerts.raise_alert(alerts.Kind.BOOKS, facts={"problems": len(problems), "words": lines[:LINES_TOLD]})
    else:
        alerts.resolve_alerts(alerts.Kind.BOOKS)
    return AuditResult(problems, looked)


def find_missing_triggers(*, invariant: str, names: TriggerNames) -> Iterable[Problem]:
    """Problems for triggers that are gone, switched off or toothless."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS[connection.vendor])
        present = {row[0] for row in cursor.fetchall()}
    for name in names[connection.vendor]:
        if name not in present:
            yield Problem(invariant, name, "the trigger that guards history is gone or switched off")


_TRIGGERS = {
    "postgresql": """
        SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
        WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND prosrc LIKE '%RAISE EXCEPTION%'
    """,
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%RAISE(ABORT%'",
}
