"""The actions of the dashboard's headline: links to pages, and changes of the provider account such as a pause."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from billing.models import ProviderAccount

VIEW_BUDGETS, VIEW_ACCOUNT = "billing.view_budget", "billing.view_provideraccount"
TOP_UP_URL = "https://kie.ai/billing"


@dataclass(frozen=True)
class Action:
    """A link, or a change of the provider account, which asks for confirmation.

    A change has the `name` of the admin's action and an `account_id`; a link has neither. Users without `permission` do
    not see it.
    """

    label: str
    url: str
    permission: str = ""
    name: str = ""
    account_id: int = 0
    is_primary: bool = True

    @property
    def is_external(self) -> bool:
        return self.url.startswith("https:")


def add_key() -> Action:
    return Action(_("Add a key…"), reverse("admin:billing_provideraccount_add"), "billing.add_provideraccount")


def view_key(account: ProviderAccount) -> Action:
    return Action(_("View the key"), _account_url(account), VIEW_ACCOUNT)


def view_account(account: ProviderAccount, *, is_primary: bool = True) -> Action:
    return Action(_("View the account"), _account_url(account), VIEW_ACCOUNT, is_primary=is_primary)


def top_up(account: ProviderAccount) -> Action:
    """Return a link to the provider's payment page. The sandbox has none, so its link leads to the account."""
    if account.source == ProviderAccount.Source.SANDBOX:
        return view_account(account)
    return Action(_("Top up at the provider"), TOP_UP_URL)


def raise_budget(*, is_primary: bool = True) -> Action:
    return Action(_("Raise the budget…"), budgets_url(), VIEW_BUDGETS, is_primary=is_primary)


def pause(account: ProviderAccount) -> Action:
    return _account_action(_("Pause…"), "pause", account, is_primary=False)


def resume(account: ProviderAccount) -> Action:
    return _account_action(_("Resume…"), "resume", account)


def budgets_url() -> str:
    return reverse("admin:billing_budget_changelist")


def _account_action(label: str, name: str, account: ProviderAccount, *, is_primary: bool = True) -> Action:
    url = reverse("admin:billing_provideraccount_changelist")
    return Action(label, url, "billing.change_provideraccount", name, account.pk, is_primary=is_primary)


def _account_url(account: ProviderAccount) -> str:
    return reverse("admin:billing_provideraccount_change", args=[account.pk])
