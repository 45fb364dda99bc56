"""Our purse at a provider, for tests of reconciliation: jobs, top-ups and thefts, on a clock that the test moves."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.models import User
from billing.costs import spend
from billing.models import BalanceSnapshot, ProviderAccount, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.billing.conftest import SetClock
from tests.jobs import job_id


class Purse:
    """What the provider holds for us. A job takes its cost when it is sent, unless told otherwise."""

    def __init__(self, still: SetClock, user: User, balance: object = 5000) -> None:
        self.still, self.user = still, user
        self.account: ProviderAccount = provider_accounts.get_current_account()
        self.balance = Decimal(str(balance))
        self._jobs = 0

    def pass_(self, **time: float) -> None:
        self.still.at += timedelta(**time)

    def read(self, balance: object = None, **after: float) -> BalanceSnapshot:
        """A reading, three minutes after what came before unless told otherwise."""
        self.pass_(**(after or {"minutes": 3}))
        said = self.balance if balance is None else Decimal(str(balance))
        return provider_accounts.record_balance(account_id=self.account.pk, balance=said)

    def send(self, *, model: str = "veo3_fast", charged: object = 60, account: ProviderAccount | None = None) -> Spend:
        """A paid request that was accepted."""
        self._jobs += 1
        self.pass_(seconds=1)
        quote = prices.get_quote(model=model, resolution="720p")
        job = spend.estimate(job_id=job_id(f"job:{self._jobs}"), user=self.user, quote=quote)
        spend.promise(spend=job, account=account or self.account)
        spend.answered(job_id=job.job_id, outcome=spend.Outcome.ACCEPTED)
        self.balance -= Decimal(str(charged))
        return job

    def end(self, job: Spend, *, actual: object = 60, basis: str = "reported", charged: object = 0) -> None:
        """Its cost is known."""
        self.balance -= Decimal(str(charged))
        spend.settle(job_id=job.job_id, actual=Decimal(str(actual)), basis=Spend.Basis(basis))

    def job(self, *, model: str = "veo3_fast", **facts: Any) -> Spend:
        """Sent and ended, a minute later."""
        sent = self.send(model=model)
        self.pass_(minutes=1)
        self.end(sent, **facts)
        return sent
