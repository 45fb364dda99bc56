"""Do the books balance? Every invariant that can be read from our own rows and files, with the name it has in its catalogue.

Each app registers its own from a module `book_checks`, which is found by its name. A check reads in single statements,
each of which sees one moment, so that it may run beside everything else.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Protocol

from django.db import connection
from django.utils.module_loading import autodiscover_modules

from accounts.doors import clock
from billing import alerts
from billing.models import BooksRun

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=15)
RUNS_KEPT = timedelta(days=30)
# So many problems are kept with a look; the alert names as many as its text can hold, and the command all.
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


class Check(Protocol):
    """Reads and reports, changes nothing. `deep` allows what takes long: reading every file."""

    def __call__(self, *, deep: bool) -> Iterable[Problem]: ...


# The names of triggers that must be there, by the database's vendor.
Guards = dict[str, tuple[str, ...]]

_checks: dict[str, Check] = {}


def register(check: Check) -> Check:
    """Let a check be part of every look at the books; a decorator."""
    _checks[f"{check.__module__}.{getattr(check, '__name__', check)}"] = check
    return check


def check(*, deep: bool = False) -> list[Problem]:
    """Every problem, sorted; raises the alert BOOKS when there is one, ends it when there is none."""
    autodiscover_modules("book_checks")
    problems = sorted({problem for one in _checks.values() for problem in one(deep=deep)})
    if problems:
        log.error("the books have %d problems, first %s", len(problems), problems[0])
        lines = "\n".join(map(str, problems))
        alerts.raise_alert(alerts.Kind.BOOKS, facts={"problems": len(problems), "words": lines[:LINES_TOLD]})
    else:
        alerts.resolve(alerts.Kind.BOOKS)
    return problems


def look(*, deep: bool = False) -> list[Problem]:
    """`check`, written down for whoever asks later how the books stood; looks older than RUNS_KEPT are forgotten."""
    began = clock.now()
    problems = check(deep=deep)
    at = clock.now()
    BooksRun.objects.create(
        at=at,
        took_s=(at - began).total_seconds(),
        is_deep=deep,
        problems=len(problems),
        first_problems=[asdict(problem) for problem in problems[:PROBLEMS_KEPT]],
    )
    BooksRun.objects.filter(at__lt=at - RUNS_KEPT).delete()
    return problems


def last_run() -> BooksRun | None:
    """The newest look at the books; None before the first. Its `tone` and words are in `admin/_books_badge.html`."""
    return BooksRun.objects.first()


def triggers_missing(*, invariant: str, names: Guards) -> Iterable[Problem]:
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
