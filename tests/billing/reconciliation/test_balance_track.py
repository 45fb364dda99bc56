"""Correct charges cause no jump, and every loss is found in full."""

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


def job(since: int, known: int | None, actual: object = 60, max_cost: object = 60) -> Job:
    return Job(at(since), None if known is None else at(known), Decimal(str(actual)), Decimal(str(max_cost)))


# Examples


def test_a_job_may_be_charged_at_any_time_until_its_cost_is_known() -> None:
    for balances in ([5000, 4940, 4940, 4940], [5000, 5000, 4940, 4940], [5000, 5000, 5000, 4940]):
        readings = [reading(minute, balance) for minute, balance in enumerate(balances)]
        track = follow_balance(readings, [job(1, 3)], [])
        assert (track.jumps, track.settled, track.in_flight, track.open_now) == ((), 60, 0, 0)


def test_a_loss_is_found_in_full_at_the_first_reading_without_open_jobs() -> None:
    readings = [reading(0, 5000), reading(1, "4927.5"), reading(2, "4927.5"), reading(3, "4927.5")]
    track = follow_balance(readings, [job(1, 3)], [])
    (jump,) = track.jumps
    assert (jump.amount, jump.before, jump.after) == (Decimal("-12.5"), readings[0], readings[1])
    assert (track.settled, track.in_flight) == (60, 0)


def test_a_loss_smaller_than_the_open_jobs_is_found_once_they_are_known() -> None:
    readings = [reading(0, 5000), reading(1, "4987.5"), reading(2, "4927.5"), reading(3, "4927.5")]
    track = follow_balance(readings[:2], [job(1, 2)], [])
    assert (track.jumps, track.open_now, track.in_flight) == ((), 60, Decimal("12.5"))
    track = follow_balance(readings, [job(1, 2)], [])
    assert [jump.amount for jump in track.jumps] == [Decimal("-12.5")]
    assert track.jumps[0].after == readings[2]


def test_a_found_difference_stays_when_jobs_start_again() -> None:
    readings = [reading(0, 5000), reading(1, 4990), reading(2, 4990)]
    track = follow_balance(readings, [job(2, None, 0, 600)], [])
    assert track.unexplained == -10


def test_jobs_in_flight_at_the_beginning_may_have_been_charged_before_it() -> None:
    for opening in (5000, 4940):
        track = follow_balance([reading(0, opening), reading(5, 4940)], [job(-3, 2)], [])
        assert (track.unexplained, track.open_before) == (0, 60)
        assert track.in_flight == opening - 5000, "minus what was charged before the opening reading"


def test_movements_up_to_the_first_reading_are_ignored() -> None:
    movements = [Movement(at(0), Decimal(1)), Movement(at(1), Decimal(1000)), Movement(at(9), Decimal(5))]
    track = follow_balance([reading(0, 10), reading(1, 1010)], [], movements)
    assert (track.jumps, track.movements) == ((), 1000)


def test_a_top_up_with_open_jobs_has_a_minimum_amount_and_slack() -> None:
    # 1000 credits were added, and two jobs of 60 were charged when they were sent.
    readings = [reading(0, 500), reading(1, 1380)]
    track = follow_balance(readings, [job(1, 5), job(1, 9)], [])
    assert (track.unexplained, track.slack) == (880, 120)
    track = follow_balance([*readings, reading(6, 1380)], [job(1, 5), job(1, 9)], [])
    assert (track.unexplained, track.slack) == (940, 60)
    track = follow_balance([*readings, reading(10, 1380)], [job(1, 5), job(1, 9)], [])
    assert (track.unexplained, track.slack) == (1000, 0)


# Random sequences


@dataclass
class Provider:
    """A provider that keeps a balance and charges each job once, either when it is ordered or when it finishes."""

    balance: Decimal = Decimal(5000)
    minute: int = 0
    readings: list[Reading] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    top_ups: list[Movement] = field(default_factory=list)
    lost: Decimal = Decimal(0)
    running: list[tuple[int, Decimal, Decimal, bool]] = field(default_factory=list)

    def read(self) -> None:
        self.minute += 1
        self.readings.append(Reading(at(self.minute), self.balance, self.minute))

    def order(self, estimated: Decimal, actual: Decimal, charges_when_ordered: bool) -> None:
        self.minute += 1
        if charges_when_ordered:
            # The difference to the actual cost is returned when the job finishes.
            self.balance -= max(estimated, actual)
        self.running.append((self.minute, estimated, actual, charges_when_ordered))

    def finish(self) -> None:
        if not self.running:
            return
        since, estimated, actual, was_charged = self.running.pop(0)
        self.balance += (max(estimated, actual) if was_charged else 0) - actual
        self.minute += 1
        self.jobs.append(Job(at(since), at(self.minute), actual, max(estimated, actual)))

    def top_up(self, amount: Decimal) -> None:
        self.minute += 1
        self.balance += amount
        self.top_ups.append(Movement(at(self.minute), amount))

    def lose(self, amount: Decimal) -> None:
        self.balance -= amount
        self.lost += amount

    def finish_all(self) -> None:
        """Finish all jobs and read the balance."""
        while self.running:
            self.finish()
        self.read()

    def all_jobs(self) -> list[Job]:
        running = [Job(at(since), None, Decimal(0), max(est, actual)) for since, est, actual, _ in self.running]
        return self.jobs + running

    def follow(self, *, recorded: bool = True) -> Track:
        return follow_balance(self.readings, self.all_jobs(), self.top_ups if recorded else [])


cost = st.sampled_from(COSTS)
order_step = st.tuples(st.just("order"), cost, st.one_of(cost, st.just(Decimal(0))), st.booleans())
ordinary_steps = st.one_of(st.just(("read",)), order_step, st.just(("finish",)))
top_up_step = st.tuples(st.just("top_up"), st.sampled_from([Decimal(500), Decimal(1000), Decimal("37.5")]))


def run_steps(steps: list[tuple]) -> Provider:  # type: ignore[type-arg]
    provider = Provider()
    provider.read()
    for name, *arguments in steps:
        getattr(provider, name)(*arguments)
    return provider


@given(st.lists(st.one_of(ordinary_steps, top_up_step), max_size=40))
def test_correct_charges_leave_nothing_unexplained(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    provider = run_steps(steps)
    assert provider.follow().jumps == ()
    provider.finish_all()
    track = provider.follow()
    assert (track.jumps, track.in_flight, track.open_now) == ((), 0, 0)
    assert track.last.balance == track.first.balance + track.movements - track.settled


@given(
    st.lists(st.one_of(ordinary_steps, top_up_step), max_size=25),
    st.lists(ordinary_steps, max_size=25),
    st.decimals(min_value="0.5", max_value=400, places=2),
)
def test_any_loss_is_found_in_full(before: list[tuple], after: list[tuple], loss: Decimal) -> None:  # type: ignore[type-arg]
    provider = run_steps(before)
    provider.lose(loss)
    for name, *arguments in after:
        getattr(provider, name)(*arguments)
        assert -loss <= provider.follow().unexplained <= 0, "never more than was lost"
    provider.finish_all()
    assert provider.follow().unexplained == -loss
    assert provider.follow().in_flight == 0


@given(st.lists(st.one_of(ordinary_steps, top_up_step), max_size=40))
def test_unrecorded_top_ups_are_found_in_full(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    provider = run_steps(steps)
    total = sum((movement.amount for movement in provider.top_ups), Decimal(0))
    track = provider.follow(recorded=False)
    assert 0 <= track.unexplained <= total
    provider.finish_all()
    assert provider.follow(recorded=False).unexplained == total


@given(st.lists(st.one_of(ordinary_steps, top_up_step), max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_jobs_does_not_matter(steps: list[tuple], rng: Random) -> None:  # type: ignore[type-arg]
    provider = run_steps(steps)
    jobs, movements = provider.all_jobs(), list(provider.top_ups)
    rng.shuffle(jobs)
    rng.shuffle(movements)
    assert follow_balance(provider.readings, iter(jobs), iter(movements)) == provider.follow()


@given(st.lists(ordinary_steps, min_size=1, max_size=30), st.integers(min_value=1, max_value=20))
def test_a_track_may_begin_at_any_reading(steps: list[tuple], skipped: int) -> None:  # type: ignore[type-arg]
    provider = run_steps(steps)
    provider.finish_all()
    readings = provider.readings[min(skipped, len(provider.readings) - 1) :]
    jobs = [job for job in provider.jobs if job.known_at is None or job.known_at > readings[0].at]
    track = follow_balance(readings, jobs, [])
    assert track.jumps == ()
    assert -track.open_now <= -track.in_flight <= track.open_before
