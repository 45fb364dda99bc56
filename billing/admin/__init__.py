"""The admin of credits and cost: read-only lists, and actions that call the same functions as the rest of the site.

No row that records money is edited here. Apps that use billing may extend an admin class, as `videos` does for provider
accounts.
"""

from billing.admin.alerts import AlertAdmin
from billing.admin.anomaly_trips import WatchTripAdmin
from billing.admin.budgets import BudgetAdmin
from billing.admin.ledger import LedgerEntryAdmin
from billing.admin.lots import CreditLotAdmin
from billing.admin.price_proposals import PriceProposalAdmin
from billing.admin.prices import PriceAdmin
from billing.admin.provider import ProviderAccountAdmin
from billing.admin.reconciliation import BooksRunAdmin, FileAnswerAdmin, ProviderEntryAdmin
from billing.admin.spend import PaidCallAdmin, SpendAdmin
from billing.admin.user_holds import UserHoldAdmin
from billing.admin.users import UserAdmin
from billing.admin.vouchers import VoucherAdmin, VoucherUseAdmin

__all__ = [
    "AlertAdmin",
    "BooksRunAdmin",
    "BudgetAdmin",
    "CreditLotAdmin",
    "FileAnswerAdmin",
    "LedgerEntryAdmin",
    "PaidCallAdmin",
    "PriceAdmin",
    "PriceProposalAdmin",
    "ProviderAccountAdmin",
    "ProviderEntryAdmin",
    "SpendAdmin",
    "UserAdmin",
    "UserHoldAdmin",
    "VoucherAdmin",
    "VoucherUseAdmin",
    "WatchTripAdmin",
]
