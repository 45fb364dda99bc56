"""Every fault that the product must survive has a test that carries its number (`test_f09_...`), or is listed as missing."""

import re
from pathlib import Path

TESTS = Path(__file__).parent

FAULTS = {
    # Charge and submit
    1: "the same order sent twice",
    2: "the same key with other parameters",
    3: "many orders race for the last credits",
    4: "eight processes race for a daily budget",
    5: "killed before the charge commits",
    6: "killed after the charge, before the job",
    7: "killed after the claim, before sending",
    8: "no name, no connection, no TLS",
    9: "read timeout after acceptance, the callback comes",
    10: "read timeout after acceptance, no callback",
    11: "a reset or truncated response",
    12: "an HTML error page",
    13: "no credits left at the provider",
    14: "a prompt that is refused",
    15: "the provider's rate limit",
    16: "maintenance, or a model switched off",
    17: "an error without a task id",
    18: "a revoked key",
    19: "no usable task id, or another task's",
    20: "killed before the response is stored",
    21: "two workers get the same job",
    22: "a worker stopped past its lease wakes up",
    23: "the balance runs out within a batch",
    24: "a hundred orders in a second",
    25: "the HTTP library sends a paid request again",
    # Callbacks
    26: "a callback before the response is stored",
    27: "ten simultaneous callbacks",
    28: "success after failure, failure after success",
    29: "a wrong token, or another task's",
    30: "the right token with a forged body",
    31: "a replayed or stale signature",
    32: "a huge, endless or slow body",
    33: "a body that cannot be read",
    34: "success without a file",
    35: "an unknown state or code",
    36: "a callback while the database is unavailable",
    37: "a thousand callbacks a second",
    38: "a callback for a task we do not have",
    39: "a callback that claims success too early",
    # Polling
    40: "a task that generates forever",
    41: "a record that is missing or empty",
    42: "a slow record",
    43: "a huge response or a gzip bomb",
    # Download and storage
    44: "a file that is missing",
    45: "a link that expired",
    46: "a link or redirect to a private address",
    47: "a file that arrives too slowly",
    48: "a file cut short",
    49: "an endless or too large file",
    50: "a file that is no video",
    51: "a script inside a video",
    52: "a full disk",
    53: "a storage that fails",
    54: "killed between rename and commit",
    55: "killed during a download",
    56: "two files, of which one fails",
    # Infrastructure
    57: "PostgreSQL restarts in the middle of a transaction",
    58: "the acknowledgement of a commit is lost",
    59: "no free connection, a deadlock, a lock timeout",
    60: "SQLite busy beyond its timeout",
    61: "an idle queue worker is killed",
    62: "all processes are killed, or the power fails",
    63: "a deployment stops the worker while it works",
    64: "queued jobs are lost",
    65: "queued jobs run more than once",
    66: "100,000 jobs or orders are waiting",
    67: "two simultaneous sweeps, or one after hours without any",
    68: "clocks that jump or differ",
    69: "a migration while old processes run",
    70: "an old backup is restored",
    71: "the cache is emptied or unavailable",
    72: "a web process is killed during a request",
    # People and secrets
    73: "a user leaves with videos under way",
    74: "a price changes with videos under way",
    75: "the provider's key changes with videos under way",
    76: "an operator's refund races the automatic one",
    77: "an operator acts on a task that a worker holds",
    78: "a top-up is reported twice",
    79: "the encryption key is rotated, missing or wrong",
    80: "another user's page or file",
    81: "an error with secrets in it",
    82: "a budget at midnight, at a change to summer time and at the end of a month",
}

# Faults without a test, each with the reason. Remove the line when you add the test.
WITHOUT_A_TEST = {
    37: "tests show that stored callbacks stay bounded, none measures pages during the flood",
    57: "no test restarts the database",
    58: "no test loses a commit's acknowledgement",
    59: "no test provokes a deadlock, a lock timeout or a serialization error",
    60: "no test keeps SQLite locked beyond its timeout",
    62: "a test kills the worker, none kills web, worker and database together",
    63: "a test stops an idle worker, none a busy one",
    64: "a lost first job is tested (F06), a queue that lost its rows is not",
    65: "no test runs every job several times",
    66: "no test builds up such a backlog",
    67: "no test runs two sweeps, or one after a long pause",
    68: "no test moves the clock of one process back",
    69: "no test runs old code on migrated tables",
    70: "no test restores a backup",
    71: "no test empties the cache or makes it unavailable",
    72: "no test kills a web process",
    81: "log lines are tested for callback addresses and keys; error pages, the admin and error e-mails are not",
}


def faults_with_a_test() -> set[int]:
    names = [
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    ]
    return {int(number) for name in names for number in re.findall(r"_f(\d\d)(?=_)", name)}


def test_every_fault_has_a_title() -> None:
    assert sorted(FAULTS) == list(range(1, 83))


def test_every_fault_has_a_test_unless_it_is_listed_as_missing() -> None:
    missing = FAULTS.keys() - faults_with_a_test() - WITHOUT_A_TEST.keys()
    assert {number: FAULTS[number] for number in sorted(missing)} == {}


def test_no_fault_with_a_test_is_listed_as_missing() -> None:
    assert sorted(WITHOUT_A_TEST.keys() & faults_with_a_test()) == []


def test_every_fault_number_in_a_test_name_is_known() -> None:
    assert sorted(faults_with_a_test() - FAULTS.keys()) == []
