"""What each kind of alert means, in plain words: for the inbox, the mail and the first page. Titles are the kinds' own."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing.common.item_names import Item
from billing.models import Alert, ProviderAccount

Kind = Alert.Kind
# The cause of the alert that there is no provider key at all.
NO_KEY = "no key"


@dataclass(frozen=True)
class RunbookEntry:
    """Three sentences. `by_hand`: nothing ends it but a person, for it tells of something that has happened."""

    means: Promise
    did: Promise
    todo: Promise
    # The page where something can be done about the whole kind, by its name in the admin.
    page: str = ""
    by_hand: bool = False


_WAITS = _("New videos wait; nothing fails and nobody is charged twice. It goes on by itself.")
_ACCOUNTS = "billing_provideraccount_changelist"
_BUDGETS = "billing_budget_changelist"
_PRICES = "billing_price_changelist"
# Where those are found that one alert speaks for; any other leads to its own video.
_VIDEOS = "videos_videotask_changelist"

RUNBOOK: dict[Alert.Kind, RunbookEntry] = {
    Kind.LOW_BALANCE: RunbookEntry(
        _("Our account at the provider is below the threshold that warns."),
        _("Videos are still being made."),
        _("Top up at the provider before the critical threshold is reached."),
        _ACCOUNTS,
    ),
    Kind.CRITICAL_BALANCE: RunbookEntry(
        _("Our account at the provider is at or below the critical threshold."),
        _("New videos wait, and what runs is finished. It goes on by itself once the balance is healthy."),
        _("Top up at the provider. Nothing else is needed."),
        _ACCOUNTS,
    ),
    Kind.OUT_OF_CREDITS: RunbookEntry(
        _("The provider refused a video because our account has no credits left."),
        _WAITS,
        _("Top up at the provider. The first healthy balance starts it again."),
        _ACCOUNTS,
    ),
    Kind.ACCESS_DENIED: RunbookEntry(
        _("The provider does not accept our key, or not from this address, or there is no key."),
        _WAITS,
        _("Check the key and the list of allowed addresses at the provider, then test the connection."),
        _ACCOUNTS,
    ),
    Kind.PROVIDER_TROUBLE: RunbookEntry(
        _("Too many of our latest requests failed at the provider."),
        _("Nothing new is sent for a while. Then one free request asks whether it is well, and one video goes first."),
        _("Look at the provider's status page. There is nothing to repair here."),
        _ACCOUNTS,
    ),
    Kind.UNCONFIRMED: RunbookEntry(
        _("A paid request was sent and no answer came, so nobody knows whether the provider took it."),
        _("It is not sent again, for it might be paid twice. We look for it until it is found or refunded."),
        _("Usually nothing. If you find the video in the provider's own list, enter its number on the video's page."),
        _VIDEOS,
    ),
    Kind.POSSIBLE_SPEND: RunbookEntry(
        _("A video was refunded although the provider may have taken its credits."),
        _("The user has the credits back. The cost is booked as possible."),
        _("Compare with the provider's own list and correct the cost if it was not charged."),
        _VIDEOS,
        by_hand=True,
    ),
    Kind.DELAYED: RunbookEntry(
        _("A video takes much longer than its kind usually does."),
        _("We go on asking, and refund it at the deadline."),
        _("Usually nothing. If many are late, look at the provider's status page."),
        _VIDEOS,
    ),
    Kind.NOT_VISIBLE: RunbookEntry(
        _("The provider says that it does not know a task which it had accepted."),
        _("We go on asking, for its records come late at times, and refund the video at the deadline."),
        _("If it stays, ask the provider's support with the number of the task."),
        _VIDEOS,
    ),
    Kind.ODD_ANSWER: RunbookEntry(
        _("The provider answered with something that we do not know."),
        _("It was taken for no verdict: the video is neither ready nor failed, and we go on asking."),
        _("If it repeats, compare the answer with the provider's documentation: it may have changed."),
        _VIDEOS,
    ),
    Kind.FORBIDDEN_ADDRESS: RunbookEntry(
        _("The provider named an address of a result that we never fetch from: private, or not https."),
        _("Nothing was fetched."),
        _("Find out why. If the address is right, add its host to RESULT_HOSTS_ALLOWED and try the download again."),
        _VIDEOS,
        by_hand=True,
    ),
    Kind.UNDOWNLOADED: RunbookEntry(
        _("A video is ready at the provider and could not be fetched so far."),
        _("We go on trying. The provider keeps results for some days only."),
        _("Look at the last trouble on the video's page. When it is repaired, try the download again there."),
        _VIDEOS,
    ),
    Kind.ORPHAN_CALLBACK: RunbookEntry(
        _("A callback named a task that is not ours."),
        _("It was put aside and changed nothing."),
        _("Usually nothing. Many of them mean that another site uses our key, or that somebody is guessing."),
        by_hand=True,
    ),
    Kind.BAD_SIGNATURE: RunbookEntry(
        _("A callback came with a signature that is not the provider's."),
        _("It was put aside. The video is found out by asking the provider instead."),
        _("Compare KIE_AI_WEBHOOK_HMAC_KEY with the provider's settings page. If they agree, somebody is trying."),
        by_hand=True,
    ),
    Kind.STORAGE: RunbookEntry(
        _("Media cannot be written or read: the disk is full, or the storage does not answer."),
        _("New orders are refused before they are charged, and downloads are tried again."),
        _("Make room on the disk, or repair the storage and its access."),
        by_hand=True,
    ),
    Kind.WORKER: RunbookEntry(
        _("The worker hung or died."),
        _("It was started again, and the rows said what was left to do. Nothing was lost."),
        _("Once is no reason to worry. If it repeats, look at the memory of the machine and at the log."),
        by_hand=True,
    ),
    Kind.BOOKS: RunbookEntry(
        _("A rule that the books must keep is broken."),
        _("Nothing was changed: history is never edited."),
        _("Read the list of problems and answer each with a compensating entry. Call a developer if one is unclear."),
    ),
    Kind.BOOKS_LATE: RunbookEntry(
        _("The books are looked at every quarter of an hour, and no look has come to its end for much longer."),
        _("Videos and money go on. The next look that ends takes this back."),
        _("See in the log why the job “books” does not end, or run “manage.py check_books” and read what it says."),
        "billing_booksrun_changelist",
    ),
    Kind.LATE_RESULT: RunbookEntry(
        _("A video came from the provider after we had given it up and refunded it."),
        _("The user keeps both, the video and the credits."),
        _("Nothing."),
        _VIDEOS,
        by_hand=True,
    ),
    Kind.BUDGET_SOFT: RunbookEntry(
        _("Spending has reached the share of a budget that warns."),
        _("Videos are still being made until the limit is reached."),
        _("Look whether the spending is wanted. Raise the budget if it is."),
        _BUDGETS,
    ),
    Kind.BUDGET_HARD: RunbookEntry(
        _("A budget is spent to its limit."),
        _("What would exceed it waits or is refused before it is charged. It goes on when the next window begins."),
        _("If the limit is right, do nothing. If not, raise it: videos go on at once."),
        _BUDGETS,
    ),
    Kind.UNUSUAL_SPEND: RunbookEntry(
        _("Much more is being spent than is usual for such an hour."),
        _("The watch over spending acted as it is set: the words above say whether new videos wait."),
        _("Look who orders what. If it is wanted, resume; if not, pause and speak to them."),
        _ACCOUNTS,
    ),
    Kind.FAILURE_RATE: RunbookEntry(
        _("An unusual share of the latest videos failed."),
        _("Each failure was refunded. The words above say whether new videos wait."),
        _("Look at the reasons of the failures: one reason for all points to the provider, or to one user."),
        _ACCOUNTS,
    ),
    Kind.USER_BURST: RunbookEntry(
        _("One user orders unusually much in a short time."),
        _("The words above say whether this user's new videos wait; everybody else's are made."),
        _("Look at what they order. If it is wanted, give them a budget of their own."),
    ),
    Kind.UNEXPLAINED_SPEND: RunbookEntry(
        _("The balance at the provider fell by more than our videos cost."),
        _("Nothing was stopped. The difference is kept open until a person explains it."),
        _("Compare with the provider's own list. Somebody else may be using the key: if so, change it."),
        "reconciliation",
    ),
    Kind.PRICE_CHANGED: RunbookEntry(
        _("What the provider charges is not what our price list says."),
        _("What was ordered keeps its price. A proposal for the list is waiting."),
        _("Look at the proposal; apply it or put it aside."),
        "billing_priceproposal_changelist",
    ),
    Kind.NEGATIVE_MARGIN: RunbookEntry(
        _("Users pay less for something than it costs us."),
        _("Nothing was stopped."),
        _("Raise its price in credits, unless the loss is meant."),
        _PRICES,
    ),
    Kind.CALLBACKS_DRY: RunbookEntry(
        _("The provider has stopped calling us back."),
        _("We ask instead, so that videos come as before, a little later."),
        _("Check that the address of our callbacks can be reached from outside."),
    ),
    Kind.SUMMARY_UNSENT: RunbookEntry(
        _("The operators' daily mail could not be delivered to everybody."),
        _("It was tried for hours and given up. The next day's mail is tried anew."),
        _("Look at the mail server and its settings, then try “manage.py send_test_alert”."),
    ),
    Kind.TEST: RunbookEntry(
        _("Somebody wanted to see whether alerts arrive. This one did."),
        _("Nothing."),
        _("Nothing."),
        by_hand=True,
    ),
}


def runbook_entry(alert: Alert) -> RunbookEntry:
    return RUNBOOK[Alert.Kind(alert.kind)]


def alert_path(alert: Alert) -> str:
    """The path of the alert itself, where it is acknowledged and put aside."""
    return reverse("admin:billing_alert_change", args=[alert.pk])


def action_path(alert: Alert) -> str:
    """The path where something can be done: of the video, user or account it is about, else of its kind, else its own.

    Credits that nothing explains are answered where an account is reconciled, not where it is kept.
    """
    if alert.kind == Kind.UNEXPLAINED_SPEND:
        return f"{reverse('admin:reconciliation')}?{urlencode({'account': _about(alert)[1]})}"
    for name, row in (_about(alert), (runbook_entry(alert).page, "")):
        try:
            return reverse(f"admin:{name}", args=[row] if row else [])
        except NoReverseMatch:
            continue
    return alert_path(alert)


def describe_subject(alert: Alert) -> str:
    """What it concerns, by the name that people know: an account's label, a person's address, a video's short number."""
    page, row = _about(alert)
    if page == "billing_provideraccount_change":
        return ProviderAccount.objects.filter(pk=row).values_list("label", flat=True).first() or alert.cause
    if page == "videos_videotask_change":
        return gettext("Video %(number)s") % {"number": row.partition("-")[0].upper()}
    if page == "accounts_user_change":
        return _person(row)
    if alert.kind in (Kind.BUDGET_SOFT, Kind.BUDGET_HARD):
        # Whose it is, is all that its words leave open.
        owner = _OF_A_USER.match(alert.cause)
        return _person(owner["row"]) if owner else ""
    if alert.kind in (Kind.PRICE_CHANGED, Kind.NEGATIVE_MARGIN):
        parts = alert.cause.split(" ")
        return Item(*parts).name if len(parts) == len(Item._fields) else alert.cause
    return "" if alert.kind in _OWN_CAUSES or alert.cause == NO_KEY else alert.cause


def _person(row: str) -> str:
    """By address; by number who has left."""
    address = User.objects.filter(pk=row, anonymised_at=None).values_list("email", flat=True).first()
    return address or gettext("User %(id)s") % {"id": row}


def _about(alert: Alert) -> tuple[str, str]:
    """The admin's page of one row, and which row."""
    for text in (alert.reference, alert.cause):
        if found := _NAMED.fullmatch(text):
            return _PAGES[found["kind"]], found["row"]
    return "", ""


# Their causes are names of ours that keep one trouble apart from another; the detail says it in words.
_OWN_CAUSES = (Kind.STORAGE, Kind.WORKER, Kind.BAD_SIGNATURE, Kind.ORPHAN_CALLBACK, Kind.TEST)
_OF_A_USER = re.compile(r"user:(?P<row>[0-9]+):")

# How causes and references name rows.
_NAMED = re.compile(r"(?P<kind>video|user|provider account)[: ](?P<row>[0-9a-f-]+)")
_PAGES = {
    "video": "videos_videotask_change",
    "user": "accounts_user_change",
    "provider account": "billing_provideraccount_change",
}
