"""The tables of credits, prices, provider accounts, spend, budgets and alerts.

The docstring of a module or class names the code that writes the table; no other code does.
"""

from billing.models.alerts import Alert, AlertDelivery, DailySummary, GroupedJob
from billing.models.budgets import Budget, BudgetWindow, Period
from billing.models.credits import CreditAccount, LedgerEntry
from billing.models.lots import CreditLot, LotUse, Voucher, VoucherUse
from billing.models.prices import Price
from billing.models.provider import BalanceSnapshot, ProviderAccount, ProviderOutcome, UserHold
from billing.models.reconciling import BooksRun, FileAnswer, PriceProposal, ProviderEntry
from billing.models.spend import PaidCall, Spend
from billing.models.tallies import Measure, TallyMark, Total
from billing.models.watch import WatchTrip

__all__ = [
    "Alert",
    "AlertDelivery",
    "BalanceSnapshot",
    "BooksRun",
    "Budget",
    "BudgetWindow",
    "CreditAccount",
    "CreditLot",
    "DailySummary",
    "FileAnswer",
    "GroupedJob",
    "LedgerEntry",
    "LotUse",
    "Measure",
    "PaidCall",
    "Period",
    "Price",
    "PriceProposal",
    "ProviderAccount",
    "ProviderEntry",
    "ProviderOutcome",
    "Spend",
    "TallyMark",
    "Total",
    "UserHold",
    "Voucher",
    "VoucherUse",
    "WatchTrip",
]
