"""The runbook: what each kind of alert means and what to do, for the inbox, the mails and the dashboard."""

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
# The cause of the alert about a missing provider key.
NO_KEY = "no key"


@dataclass(frozen=True)
class RunbookEntry:
    """Texts for one kind of alert.

    `page` is the admin URL name of the page where operators can act on all alerts of this kind. An alert that is
    `resolved_by_hand` reports an event, so only an operator can resolve it.
    """

    meaning: Promise
    automatic_action: Promise
    operator_action: Promise
    page: str = ""
    resolved_by_hand: bool = False


_VIDEOS_WAIT = _("New videos wait. None of them fails and nobody is charged twice. They continue automatically.")
_ACCOUNTS = "billing_provideraccount_changelist"
_BUDGETS = "billing_budget_changelist"
_PRICES = "billing_price_changelist"
# For alerts that cover several videos; an alert about one video links to that video.
_VIDEOS = "videos_videotask_changelist"

RUNBOOK: dict[Alert.Kind, RunbookEntry] = {
    Kind.LOW_BALANCE: RunbookEntry(
        _("Our provider balance is at or below the warning threshold."),
        _("Videos are still made."),
        _("Top up at the provider before the critical threshold is reached."),
        _ACCOUNTS,
    ),
    Kind.CRITICAL_BALANCE: RunbookEntry(
        _("Our provider balance is at or below the critical threshold."),
        _("New videos wait; videos already sent are finished. Once the balance is high enough, new videos continue."),
        _("Top up at the provider. Nothing else is needed."),
        _ACCOUNTS,
    ),
    Kind.OUT_OF_CREDITS: RunbookEntry(
        _("The provider refused a video because our account has no credits left."),
        _VIDEOS_WAIT,
        _("Top up at the provider. Videos continue once a sufficient balance is read."),
        _ACCOUNTS,
    ),
    Kind.ACCESS_DENIED: RunbookEntry(
        _("The provider refuses our key or our address, or no key is set."),
        _VIDEOS_WAIT,
        _("Check the key and the list of allowed addresses at the provider, then test the connection."),
        _ACCOUNTS,
    ),
    Kind.PROVIDER_TROUBLE: RunbookEntry(
        _("Too many of our latest requests failed at the provider."),
        _("Nothing new is sent for a while. Then a free request tests the provider, and a single video is sent first."),
        _("Check the provider's status page. There is nothing to fix here."),
        _ACCOUNTS,
    ),
    Kind.UNCONFIRMED: RunbookEntry(
        _("A paid request was sent and got no answer. It is not known whether the provider accepted it."),
        _(
            "It is not sent again, to avoid paying twice. veoapp keeps looking for the video until it is found or refunded."
        ),
        _("Usually nothing. If you find the video in the provider's task list, enter its task ID on the video's page."),
        _VIDEOS,
    ),
    Kind.POSSIBLE_SPEND: RunbookEntry(
        _("A video was refunded although the provider may have charged for it."),
        _("The user got the credits back. The cost is recorded as possible."),
        _("Compare with the provider's task list and correct the cost if it was not charged."),
        _VIDEOS,
        resolved_by_hand=True,
    ),
    Kind.DELAYED: RunbookEntry(
        _("A video takes much longer than similar videos usually do."),
        _("Polling continues, and the video is refunded at the deadline."),
        _("Usually nothing. If many videos are late, check the provider's status page."),
        _VIDEOS,
    ),
    Kind.NOT_VISIBLE: RunbookEntry(
        _("The provider does not know a task that it had accepted."),
        _(
            "Polling continues, because the provider's records are sometimes late. The video is refunded at the deadline."
        ),
        _("If this persists, contact the provider's support and quote the task ID."),
        _VIDEOS,
    ),
    Kind.ODD_ANSWER: RunbookEntry(
        _("The provider sent an answer that veoapp does not understand."),
        _("The answer was not taken as a result: the video is neither ready nor failed, and veoapp keeps polling."),
        _("If this repeats, compare the answer with the provider's documentation. The format may have changed."),
        _VIDEOS,
    ),
    Kind.FORBIDDEN_ADDRESS: RunbookEntry(
        _("The provider sent a result address that veoapp never downloads from: it is private or not https."),
        _("Nothing was downloaded."),
        _("Find out why. If the address is correct, add its host to RESULT_HOSTS_ALLOWED and retry the download."),
        _VIDEOS,
        resolved_by_hand=True,
    ),
    Kind.DOWNLOAD_FAILED: RunbookEntry(
        _("A video is ready at the provider but could not be downloaded yet."),
        _("Attempts continue. The provider keeps results for a few days only."),
        _("Read the last error on the video's page. Once it is fixed, retry the download there."),
        _VIDEOS,
    ),
    Kind.ORPHAN_CALLBACK: RunbookEntry(
        _("A callback named a task that veoapp does not have."),
        _("It was set aside and changed nothing."),
        _("Usually nothing. Many of them mean that another site uses our key or that somebody is guessing."),
        resolved_by_hand=True,
    ),
    Kind.BAD_SIGNATURE: RunbookEntry(
        _("A callback arrived with a signature that is not the provider's."),
        _("It was set aside. The result is fetched by polling the provider instead."),
        _(
            "Compare KIE_AI_WEBHOOK_HMAC_KEY with the provider's settings page. If they agree, somebody is forging callbacks."
        ),
        resolved_by_hand=True,
    ),
    Kind.STORAGE: RunbookEntry(
        _("Media files cannot be written or read: the disk is full or the storage does not respond."),
        _("New orders are refused before they are charged, and downloads are retried."),
        _("Free up disk space, or restore the storage and the access to it."),
        resolved_by_hand=True,
    ),
    Kind.WORKER: RunbookEntry(
        _("The worker hung or died."),
        _("It was restarted and resumed its work from the database. Nothing was lost."),
        _("A single restart is no reason to worry. If it repeats, check the machine's memory and the log."),
        resolved_by_hand=True,
    ),
    Kind.BOOKS_UNBALANCED: RunbookEntry(
        _("The books break one of their rules."),
        _("Nothing was changed. History is never edited."),
        _("Read the list of problems and correct each with a compensating entry. Ask a developer if one is unclear."),
    ),
    Kind.BOOKS_LATE: RunbookEntry(
        _("The books are checked every 15 minutes, but no check has finished for much longer than that."),
        _("Videos and payments continue. The next check that finishes ends this alert."),
        _("Check the log for why the job “books” does not finish, or run “manage.py check_books” and read its output."),
        "billing_booksrun_changelist",
    ),
    Kind.LATE_RESULT: RunbookEntry(
        _("A video arrived from the provider after veoapp had given up on it and refunded it."),
        _("The user keeps both the video and the credits."),
        _("Nothing."),
        _VIDEOS,
        resolved_by_hand=True,
    ),
    Kind.BUDGET_SOFT: RunbookEntry(
        _("Spending has reached the warning threshold of a budget."),
        _("Videos are still made until the limit is reached."),
        _("Check whether the spending is intended. If it is, raise the budget."),
        _BUDGETS,
    ),
    Kind.BUDGET_HARD: RunbookEntry(
        _("A budget is used up."),
        _(
            "Videos that would exceed it wait or are refused before they are charged. They continue when the next window begins."
        ),
        _("If the limit is right, do nothing. Otherwise raise it, and videos continue at once."),
        _BUDGETS,
    ),
    Kind.UNUSUAL_SPEND: RunbookEntry(
        _("Spending is much higher than usual for this hour."),
        _("The spending monitor acted as configured; the text above says whether new videos wait."),
        _("Check who orders what. If it is intended, resume; otherwise pause and contact them."),
        _ACCOUNTS,
    ),
    Kind.FAILURE_RATE: RunbookEntry(
        _("An unusually large share of the latest videos failed."),
        _("Each failure was refunded. The text above says whether new videos wait."),
        _("Check the failure reasons: a single reason points to the provider or to one user."),
        _ACCOUNTS,
    ),
    Kind.USER_BURST: RunbookEntry(
        _("One user ordered unusually many videos in a short time."),
        _("The text above says whether this user's new videos wait. Other users are not affected."),
        _("Check what they order. If it is intended, give them a budget of their own."),
    ),
    Kind.UNEXPLAINED_SPEND: RunbookEntry(
        _("The provider balance fell by more than our videos cost."),
        _("Nothing was stopped. The difference stays open until an operator explains it."),
        _("Compare with the provider's task list. Somebody else may be using the key; if so, change it."),
        "reconciliation",
    ),
    Kind.PRICE_CHANGED: RunbookEntry(
        _("The provider charges a different price than our price list says."),
        _("Existing orders keep their price. A price proposal is waiting."),
        _("Review the proposal, then apply it or dismiss it."),
        "billing_priceproposal_changelist",
    ),
    Kind.NEGATIVE_MARGIN: RunbookEntry(
        _("Users pay less for an item than it costs us."),
        _("Nothing was stopped."),
        _("Raise its price in credits, unless the loss is intended."),
        _PRICES,
    ),
    Kind.CALLBACKS_STOPPED: RunbookEntry(
        _("The provider's callbacks have stopped arriving."),
        _("Polling replaces them, so videos still arrive, only a little later."),
        _("Check that our callback address can be reached from outside."),
    ),
    Kind.SUMMARY_UNSENT: RunbookEntry(
        _("The daily summary mail could not be delivered to every operator."),
        _("Delivery was retried for hours and then given up. Tomorrow's mail will be sent as usual."),
        _("Check the mail server and its settings, then run “manage.py send_test_alert”."),
    ),
    Kind.TEST: RunbookEntry(
        _("This is a test to see whether alerts arrive."),
        _("Nothing."),
        _("Nothing."),
        resolved_by_hand=True,
    ),
}


def runbook_entry(alert: Alert) -> RunbookEntry:
    """The texts for the alert's kind."""
    return RUNBOOK[Alert.Kind(alert.kind)]


def alert_path(alert: Alert) -> str:
    """The path of the alert's own page, where it is acknowledged and snoozed."""
    return reverse("admin:billing_alert_change", args=[alert.pk])


def action_path(alert: Alert) -> str:
    """The page of the alert's video, user or account; otherwise the page of its kind; otherwise the alert's own page."""
    # Missing credits are explained on the reconciliation page of their account.
    if alert.kind == Kind.UNEXPLAINED_SPEND:
        return f"{reverse('admin:reconciliation')}?{urlencode({'account': _find_subject(alert)[1]})}"
    for name, object_id in (_find_subject(alert), (runbook_entry(alert).page, "")):
        try:
            return reverse(f"admin:{name}", args=[object_id] if object_id else [])
        except NoReverseMatch:
            continue
    return alert_path(alert)


def describe_subject(alert: Alert) -> str:
    """What the alert is about, for people: an account's label, a user's e-mail address, a video's short number."""
    page, object_id = _find_subject(alert)
    if page == "billing_provideraccount_change":
        return ProviderAccount.objects.filter(pk=object_id).values_list("label", flat=True).first() or alert.cause
    if page == "videos_videotask_change":
        return gettext("Video %(number)s") % {"number": object_id.partition("-")[0].upper()}
    if page == "accounts_user_change":
        return _describe_user(object_id)
    if alert.kind in (Kind.BUDGET_SOFT, Kind.BUDGET_HARD):
        # The message already names the scope, but a user only by number, so the user's address is given here.
        user_scope = _USER_SCOPE.match(alert.cause)
        return _describe_user(user_scope["row"]) if user_scope else ""
    if alert.kind in (Kind.PRICE_CHANGED, Kind.NEGATIVE_MARGIN):
        parts = alert.cause.split(" ")
        return Item(*parts).name if len(parts) == len(Item._fields) else alert.cause
    return "" if alert.kind in _INTERNAL_CAUSES or alert.cause == NO_KEY else alert.cause


def _describe_user(user_id: str) -> str:
    """The user's e-mail address, or the number once the account is deleted."""
    address = User.objects.filter(pk=user_id, anonymised_at=None).values_list("email", flat=True).first()
    return address or gettext("User %(id)s") % {"id": user_id}


def _find_subject(alert: Alert) -> tuple[str, str]:
    """The admin URL name and the id of the row that the alert is about; two empty strings if there is none."""
    for text in (alert.reference, alert.cause):
        if match := _OBJECT_NAME.fullmatch(text):
            return _PAGES[match["kind"]], match["row"]
    return "", ""


# Their causes are internal keys; the message describes them.
_INTERNAL_CAUSES = (Kind.STORAGE, Kind.WORKER, Kind.BAD_SIGNATURE, Kind.ORPHAN_CALLBACK, Kind.TEST)
_USER_SCOPE = re.compile(r"user:(?P<row>[0-9]+):")

# How `cause` and `reference` name an object, for example `user:12`.
_OBJECT_NAME = re.compile(r"(?P<kind>video|user|provider account)[: ](?P<row>[0-9a-f-]+)")
_PAGES = {
    "video": "videos_videotask_change",
    "user": "accounts_user_change",
    "provider account": "billing_provideraccount_change",
}
