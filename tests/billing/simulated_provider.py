"""Our balance at a provider, simulated for tests of reconciliation: jobs, top-ups and losses on a manual clock."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.models import User
from billing.costs import spend
from billing.models import BalanceSnapshot, ProviderAccount, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.jobs import job_id


class SimulatedProvider:
    """The balance that the provider holds for us. By default it charges a job when the job is sent."""

    def __init__(self, clock: ManualClock, user: User, balance: object = 5000) -> None:
        self.clock, self.user = clock, user
        self.account: ProviderAccount = provider_accounts.get_current_account()
        self.balance = Decimal(str(balance))
        self._jobs = 0

    def advance(self, **time: float) -> None:
        self.clock.at += timedelta(**time)

    def read_balance(self, balance: object = None, **after: float) -> BalanceSnapshot:
        """Record a reading, by default three minutes later and of the true balance."""
        self.advance(**(after or {"minutes": 3}))
        reading = self.balance if balance is None else Decimal(str(balance))
        return provider_accounts.record_balance(account_id=self.account.pk, balance=reading)

    def send_job(
        self, *, model: str = "veo3_fast", charged: object = 60, account: ProviderAccount | None = None
    ) -> Spend:
        """Send a paid request that is accepted."""
        self._jobs += 1
        self.advance(seconds=1)
        quote = prices.get_quote(model=model, resolution="720p")
        job = spend.estimate(job_id=job_id(f"job:{self._jobs}"), user=self.user, quote=quote)
        spend.promise(spend=job, account=account or self.account)
        spend.record_response(job_id=job.job_id, outcome=spend.Outcome.ACCEPTED)
        self.balance -= Decimal(str(charged))
        return job

    def settle_job(self, job: Spend, *, actual: object = 60, basis: str = "reported", charged: object = 0) -> None:
        """Record the cost of a job; `charged` is taken from the balance now."""
        self.balance -= Decimal(str(charged))
        spend.settle(job_id=job.job_id, actual=Decimal(str(actual)), basis=Spend.Basis(basis))

    def run_job(self, *, model: str = "veo3_fast", **cost: Any) -> Spend:
        """Send a job and settle it a minute later."""
        job = self.send_job(model=model)
        self.advance(minutes=1)
        self.settle_job(job, **cost)
        return job
