"""The tables of money: user credits, prices, provider accounts, spend, alerts. Each has one writer, named in its docstring."""

from billing.models.alerts import Alert
from billing.models.credits import CreditAccount, LedgerEntry
from billing.models.prices import Price
from billing.models.provider import BalanceSnapshot, ProviderAccount
from billing.models.spend import PaidCall, Spend

__all__ = [
    "Alert",
    "BalanceSnapshot",
    "CreditAccount",
    "LedgerEntry",
    "PaidCall",
    "Price",
    "ProviderAccount",
    "Spend",
]
