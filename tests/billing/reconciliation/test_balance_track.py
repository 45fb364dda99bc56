"""The reckoning behind reconciliation: a provider that does as it says makes no jump, and what is taken besides is found."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from billing.reconciliation.balance_track import Job, Movement, Reading, Track, follow_balance

START = datetime(2026, 9, 1, tzinfo=UTC)
COSTS = [Decimal(30), Decimal(60), Decimal("37.5"), Decimal(250)]


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def reading(minute: int, balance: object) -> Reading:
    return Reading(at(minute), Decimal(str(balance)), minute)


def job(since: int, known: int | None, actual: object = 60, most: object = 60) -> Job:
    return Job(at(since), None if known is None else at(known), Decimal(str(actual)), Decimal(str(most)))


# By hand


def test_a_job_s_price_may_leave_at_any_moment_until_it_is_known() -> None:
    for balances in ([5000, 4940, 4940, 4940], [5000, 5000, 4940, 4940], [5000, 5000, 5000, 4940]):
        readings = [reading(minute, balance) for minute, balance in enumerate(balances)]
        found = follow_balance(readings, [job(1, 3)], [])
        assert (found.jumps, found.settled, found.in_flight, found.open_now) == ((), 60, 0, 0)


def test_what_is_taken_besides_is_found_in_full_at_the_first_quiet_reading() -> None:
    readings = [reading(0, 5000), reading(1, "4927.5"), reading(2, "4927.5"), reading(3, "4927.5")]
    found = follow_balance(readings, [job(1, 3)], [])
    (jump,) = found.jumps
    assert (jump.amount, jump.before, jump.after) == (Decimal("-12.5"), readings[0], readings[1])
    assert (found.settled, found.in_flight) == (60, 0)


def test_a_theft_smaller_than_what_is_in_flight_waits_until_it_is_quiet() -> None:
    readings = [reading(0, 5000), reading(1, "4987.5"), reading(2, "4927.5"), reading(3, "4927.5")]
    found = follow_balance(readings[:2], [job(1, 2)], [])
    assert (found.jumps, found.open_now, found.in_flight) == ((), 60, Decimal("12.5"))
    found = follow_balance(readings, [job(1, 2)], [])
    assert [jump.amount for jump in found.jumps] == [Decimal("-12.5")]
    assert found.jumps[0].after == readings[2]


def test_a_difference_once_found_is_not_forgotten_when_jobs_start_again() -> None:
    readings = [reading(0, 5000), reading(1, 4990), reading(2, 4990)]
    found = follow_balance(readings, [job(2, None, 0, 600)], [])
    assert found.found == -10


def test_jobs_in_flight_at_the_beginning_may_have_been_charged_before_it() -> None:
    for opening in (5000, 4940):
        found = follow_balance([reading(0, opening), reading(5, 4940)], [job(-3, 2)], [])
        assert (found.found, found.open_before) == (0, 60)
        assert found.in_flight == opening - 5000, "less what had been taken before"


def test_movements_up_to_the_first_reading_are_in_it() -> None:
    moved = [Movement(at(0), Decimal(1)), Movement(at(1), Decimal(1000)), Movement(at(9), Decimal(5))]
    found = follow_balance([reading(0, 10), reading(1, 1010)], [], moved)
    assert (found.jumps, found.movements) == ((), 1000)


def test_a_top_up_under_way_jobs_is_at_least_what_is_seen_and_room_says_how_much_more() -> None:
    # 1000 came, and two jobs of 60 were charged when they were sent.
    readings = [reading(0, 500), reading(1, 1380)]
    found = follow_balance(readings, [job(1, 5), job(1, 9)], [])
    assert (found.found, found.room) == (880, 120)
    found = follow_balance([*readings, reading(6, 1380)], [job(1, 5), job(1, 9)], [])
    assert (found.found, found.room) == (940, 60)
    found = follow_balance([*readings, reading(10, 1380)], [job(1, 5), job(1, 9)], [])
    assert (found.found, found.room) == (1000, 0)


# Any provider


@dataclass
class Provider:
    """Keeps a balance, charges each job once at a moment of its own, and says when its cost is known."""

    balance: Decimal = Decimal(5000)
    minute: int = 0
    readings: list[Reading] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    topped_up: list[Movement] = field(default_factory=list)
    stolen: Decimal = Decimal(0)
    running: list[tuple[int, Decimal, Decimal, bool]] = field(default_factory=list)

    def read(self) -> None:
        self.minute += 1
        self.readings.append(Reading(at(self.minute), self.balance, self.minute))

    def order(self, estimated: Decimal, actual: Decimal, charges_at_once: bool) -> None:
        self.minute += 1
        if charges_at_once:
            # Whatever a failed job will get back in the end is taken first.
            self.balance -= max(estimated, actual)
        self.running.append((self.minute, estimated, actual, charges_at_once))

    def finish(self) -> None:
        if not self.running:
            return
        since, estimated, actual, charged = self.running.pop(0)
        self.balance += (max(estimated, actual) if charged else 0) - actual
        self.minute += 1
        self.jobs.append(Job(at(since), at(self.minute), actual, max(estimated, actual)))

    def top_up(self, amount: Decimal) -> None:
        self.minute += 1
        self.balance += amount
        self.topped_up.append(Movement(at(self.minute), amount))

    def steal(self, amount: Decimal) -> None:
        self.balance -= amount
        self.stolen += amount

    def end(self) -> None:
        """All jobs end, and somebody reads."""
        while self.running:
            self.finish()
        self.read()

    def all_jobs(self) -> list[Job]:
        under_way = [Job(at(since), None, Decimal(0), max(est, actual)) for since, est, actual, _ in self.running]
        return self.jobs + under_way

    def tracked(self, *, told: bool = True) -> Track:
        return follow_balance(self.readings, self.all_jobs(), self.topped_up if told else [])


cost = st.sampled_from(COSTS)
ordered = st.tuples(st.just("order"), cost, st.one_of(cost, st.just(Decimal(0))), st.booleans())
usual = st.one_of(st.just(("read",)), ordered, st.just(("finish",)))
topped = st.tuples(st.just("top_up"), st.sampled_from([Decimal(500), Decimal(1000), Decimal("37.5")]))


def lived(steps: list[tuple]) -> Provider:  # type: ignore[type-arg]
    provider = Provider()
    provider.read()
    for name, *arguments in steps:
        getattr(provider, name)(*arguments)
    return provider


@given(st.lists(st.one_of(usual, topped), max_size=40))
def test_a_provider_that_does_as_it_says_leaves_nothing_unexplained(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    provider = lived(steps)
    assert provider.tracked().jumps == ()
    provider.end()
    found = provider.tracked()
    assert (found.jumps, found.in_flight, found.open_now) == ((), 0, 0)
    assert found.last.balance == found.first.balance + found.movements - found.settled


@given(
    st.lists(st.one_of(usual, topped), max_size=25),
    st.lists(usual, max_size=25),
    st.decimals(min_value="0.5", max_value=400, places=2),
)
def test_any_theft_shows_as_itself(before: list[tuple], after: list[tuple], theft: Decimal) -> None:  # type: ignore[type-arg]
    provider = lived(before)
    provider.steal(theft)
    for name, *arguments in after:
        getattr(provider, name)(*arguments)
        assert -theft <= provider.tracked().found <= 0, "never more than is gone"
    provider.end()
    assert provider.tracked().found == -theft
    assert provider.tracked().in_flight == 0


@given(st.lists(st.one_of(usual, topped), max_size=40))
def test_top_ups_nobody_wrote_down_come_to_light_in_full(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    provider = lived(steps)
    total = sum((one.amount for one in provider.topped_up), Decimal(0))
    found = provider.tracked(told=False)
    assert 0 <= found.found <= total
    provider.end()
    assert provider.tracked(told=False).found == total


@given(st.lists(st.one_of(usual, topped), max_size=40), st.randoms(use_true_random=False))
def test_jobs_may_pass_in_any_order(steps: list[tuple], chance: Random) -> None:  # type: ignore[type-arg]
    provider = lived(steps)
    jobs, moved = provider.all_jobs(), list(provider.topped_up)
    chance.shuffle(jobs)
    chance.shuffle(moved)
    assert follow_balance(provider.readings, iter(jobs), iter(moved)) == provider.tracked()


@given(st.lists(usual, min_size=1, max_size=30), st.integers(min_value=1, max_value=20))
def test_a_stretch_may_begin_in_the_middle(steps: list[tuple], skipped: int) -> None:  # type: ignore[type-arg]
    provider = lived(steps)
    provider.end()
    readings = provider.readings[min(skipped, len(provider.readings) - 1) :]
    jobs = [one for one in provider.jobs if one.known_at is None or one.known_at > readings[0].at]
    found = follow_balance(readings, jobs, [])
    assert found.jumps == ()
    assert -found.open_now <= -found.in_flight <= found.open_before
