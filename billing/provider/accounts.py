"""Our accounts at providers: which is current, its key, its balance, and why it may be at rest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.alerts.runbook import NO_KEY
from billing.models import BalanceSnapshot, ProviderAccount, Spend
from billing.provider import balance_alerts, encryption

SANDBOX_KEY = "sandbox"
# What keys are sealed for: a text sealed for anything else does not open as one.
KEY_PURPOSE = "provider-key"
# A balance older than this is read again before it decides anything; the poller reads it each minute anyway.
BALANCE_FRESH_FOR = timedelta(minutes=2)

Pause = ProviderAccount.Pause
REASON_LENGTH = 300
# What users read, after "paused": no capital, no stop.
PAUSE_TEXTS: dict[str, Promise] = {
    Pause.MAINTENANCE: gettext_lazy("maintenance; it will not take long"),
    Pause.PROVIDER: gettext_lazy("the provider has trouble, and we wait until it is well again"),
    Pause.COST: gettext_lazy("the operator is looking at what videos cost"),
    Pause.UNUSUAL_SPEND: gettext_lazy("more is being spent than usual, and the operator is looking into it"),
}

# A provider may refuse for want of credits while its balance reads well (a sub-key's own limit): do not flap.
MIN_PARKED_TIME = timedelta(seconds=30)


class NoProviderKey(Exception):
    """Nobody told us a key: neither the environment nor the admin, and the sandbox is not allowed. `facts` are an alert's."""

    def __init__(self, text: str, *, say: str, **facts: str) -> None:
        super().__init__(text)
        self.facts = {"say": [say], **facts}


@dataclass(frozen=True)
class Credentials:
    """What a client needs to speak for an account. Its repr shows no key."""

    account_id: int
    base_url: str
    upload_base_url: str
    api_key: str

    def __repr__(self) -> str:
        return f"Credentials(account_id={self.account_id}, base_url={self.base_url!r})"


def fingerprint(api_key: str) -> str:
    """A name for a key that does not give it away."""
    return hashlib.sha256(b"veoapp provider key:" + api_key.encode()).hexdigest()[:32]


def get_current_account() -> ProviderAccount:
    """The account that new work goes to: the environment's key, else the admin's, else the sandbox. Raises NoProviderKey."""
    if settings.KIE_AI_API_KEY:
        return _account_of(
            settings.KIE_AI_API_KEY,
            source=ProviderAccount.Source.ENVIRONMENT,
            label="kie.ai",
            base_url=settings.KIE_AI_BASE_URL,
            upload_base_url=settings.KIE_AI_UPLOAD_BASE_URL,
        )
    # Both in one query: every page of operators asks.
    sandbox = Q(provider="kie", base_url=settings.SANDBOX_URL, key_fingerprint=fingerprint(SANDBOX_KEY))
    in_use = Q(source=ProviderAccount.Source.ADMIN, is_active=True)
    at_hand = list(ProviderAccount.objects.select_related("paused_by").filter(in_use | sandbox))
    for one in at_hand:
        if one.source == ProviderAccount.Source.ADMIN and one.is_active:
            return one
    if settings.SANDBOX_ALLOWED:
        return _account_of(
            SANDBOX_KEY,
            source=ProviderAccount.Source.SANDBOX,
            label="Sandbox",
            base_url=settings.SANDBOX_URL,
            upload_base_url=settings.SANDBOX_URL,
            known=next(iter(at_hand), None),
        )
    raise NoProviderKey("No provider key: set KIE_AI_API_KEY or add a provider account in the admin.", say="no_key")


def get_credentials(account: ProviderAccount) -> Credentials:
    """What speaks for this account, even after another key became current. Raises NoProviderKey, VaultError."""
    if account.source == ProviderAccount.Source.SANDBOX:
        api_key = SANDBOX_KEY
    elif settings.KIE_AI_API_KEY and fingerprint(settings.KIE_AI_API_KEY) == account.key_fingerprint:
        api_key = settings.KIE_AI_API_KEY
    elif account.sealed_key:
        api_key = encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
    else:
        text = f"The key of {account.label} is gone: it was never sealed."
        raise NoProviderKey(text, say="key_gone", account=account.label)
    return Credentials(account.pk, account.base_url, account.upload_base_url, api_key)


def record_balance(*, account_id: int, balance: Decimal) -> BalanceSnapshot:
    """Write down what the provider says we have; a healthy balance ends a parking, a low one alerts."""
    with transaction.atomic():
        account = lock_account(account_id)
        at = clock.database_now()
        account.balance, account.balance_at = balance, at
        rested = account.parked_at is not None and at - account.parked_at >= MIN_PARKED_TIME
        if account.parked_as and rested and balance > settings.CRITICAL_BALANCE_THRESHOLD:
            account.parked_as, account.parked_at = "", None
        account.save(update_fields=["balance", "balance_at", "parked_as", "parked_at"])
        balance_alerts.update_balance_alerts(account, balance)
        # Who reads a balance has a key.
        alerts.resolve_alerts(alerts.Kind.ACCESS_DENIED, cause=NO_KEY)
        return BalanceSnapshot.objects.create(
            account=account, balance=balance, promised=sum_promised(account_id), taken_at=at
        )


def sum_promised(account_id: int) -> Decimal:
    """Provider credits of jobs that were sent and are not settled."""
    total = Spend.objects.filter(account_id=account_id, state=Spend.State.PROMISED).aggregate(sum=Sum("estimated"))
    return total["sum"] or Decimal(0)


def sum_committed(account: ProviderAccount) -> Decimal:
    """What the balance as last read may not show yet: promised, or settled since it was read. In provider credits."""
    sent, settled = (
        jobs.values("account").annotate(sum=Sum("amount")).values_list("sum") for jobs in committed_jobs(account)
    )
    return sum((amount for (amount,) in sent.union(settled, all=True)), Decimal(0))


def committed_jobs(account: ProviderAccount) -> tuple[QuerySet[Spend], QuerySet[Spend]]:
    """The jobs behind `committed`, each with its `amount`: those promised, and those settled since. By an index each."""
    jobs = Spend.objects.filter(account_id=account.pk).order_by()
    since = account.balance_at or account.created_at
    return (
        jobs.filter(state=Spend.State.PROMISED).annotate(amount=F("estimated")),
        jobs.filter(state=Spend.State.SETTLED, settled_at__gt=since).annotate(amount=F("actual")),
    )


def get_available_balance(account: ProviderAccount, *, less: Decimal | None = None) -> Decimal | None:
    """What may still be promised: the balance as last read, less what it may not show yet. None: never read.

    Everybody asks here. `less`: what is `committed`, from who has read it in a statement of its own.
    """
    if account.balance is None:
        return None
    return account.balance - (sum_committed(account) if less is None else less)


def lacks_balance(provider: ProviderAccount, provider_credits: Decimal) -> bool:
    """Whether what is free at the provider is too little for a job of this cost, or for any. False while it is unknown."""
    free = get_available_balance(provider)
    if free is None:
        return False
    return is_critical(provider) or free < provider_credits or free <= settings.CRITICAL_BALANCE_THRESHOLD


def is_critical(provider: ProviderAccount) -> bool:
    """Whether the provider's balance, as last read, is at or below the threshold that stops new work."""
    return provider.balance is not None and provider.balance <= settings.CRITICAL_BALANCE_THRESHOLD


def pause_account(
    *,
    account_id: int,
    actor: User | None,
    code: ProviderAccount.Pause = Pause.OWN_WORDS,
    reason: str = "",
    words: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> bool:
    """Stop new work: for a reason that `pause_sentence` has words for, or in own words (also by language code).

    `until`: resumes by itself then; else a person resumes it. For a code that has words, `reason` is a note (also by
    language code) that only operators read. Nobody (`actor` None: the watch over spending) does not replace a person's
    pause: False then. Own words without words: ValueError.
    """
    reason = reason.strip()[:REASON_LENGTH]
    if code == Pause.OWN_WORDS and not reason:
        raise ValueError("a pause in own words needs a reason")
    kept = {language: text.strip()[:REASON_LENGTH] for language, text in (words or {}).items() if text.strip()}
    accounts = ProviderAccount.objects.filter(pk=account_id)
    at = clock.now()
    if actor is None:
        accounts = accounts.filter(Q(paused_at=None) | Q(paused_by=None) | Q(paused_until__lte=at))
    return bool(
        accounts.update(
            paused_at=at, paused_by=actor, pause_code=code, pause_reason=reason, pause_words=kept, paused_until=until
        )
    )


def resume_account(*, account_id: int) -> bool:
    """Let new work go on; False when nothing was paused."""
    return bool(_end_pauses(ProviderAccount.objects.filter(pk=account_id, paused_at__isnull=False)))


def end_expired_pauses() -> int:
    """Forget the pauses whose time is over (they stop nobody any more); returns how many."""
    return _end_pauses(ProviderAccount.objects.filter(paused_until__lte=clock.now()))


def _end_pauses(accounts: QuerySet[ProviderAccount]) -> int:
    return accounts.update(
        paused_at=None, paused_by=None, pause_code="", pause_reason="", pause_words={}, paused_until=None
    )


def format_pause_reason(account: ProviderAccount, language: str | None = None) -> str:
    """Why new videos are paused, as users read it, in this language or the active one; it ends without a stop."""
    with translation.override(language or translation.get_language()):
        if words := PAUSE_TEXTS.get(account.pause_code):
            return str(words)
        return format_pause_note(account)


def format_pause_note(account: ProviderAccount) -> str:
    """The words that were noted with the pause, in the active language if they are known in it; without a stop."""
    spoken = translation.get_language() or settings.LANGUAGE_CODE
    return str(account.pause_words.get(spoken) or account.pause_reason).rstrip(" .。")


def park_account(*, account_id: int, parked_as: ProviderAccount.Parked, detail: str, is_used: bool = True) -> None:
    """The provider will not serve us (credits, key): new work waits until a healthy balance is read.

    Of an account that nothing is sent with (not `is_used`) nobody needs to be told.
    """
    ProviderAccount.objects.filter(pk=account_id).update(parked_as=parked_as, parked_at=clock.database_now())
    if is_used:
        alerts.raise_alert(alerts.Kind(parked_as), cause=ProviderAccount.cause_of(account_id), detail=detail)


def lock_account(account_id: int) -> ProviderAccount:
    """The account, locked until the transaction ends: whoever decides about spending holds it.

    Only against others who decide: a job that names its account (a foreign key's check, at its commit) never waits here,
    for it may hold the budget windows that the decision needs.
    """
    return ProviderAccount.objects.select_for_update(no_key=True).get(pk=account_id)


def _account_of(
    api_key: str,
    *,
    source: ProviderAccount.Source,
    label: str,
    base_url: str,
    upload_base_url: str,
    known: ProviderAccount | None = None,
) -> ProviderAccount:
    # With who paused it, whom pages name.
    account = (
        known
        or ProviderAccount.objects.select_related("paused_by").get_or_create(
            provider="kie",
            base_url=base_url,
            key_fingerprint=fingerprint(api_key),
            defaults={"source": source, "label": label, "upload_base_url": upload_base_url},
        )[0]
    )
    changes: dict[str, str] = {}
    if not account.sealed_key and source != ProviderAccount.Source.SANDBOX and encryption.is_configured():
        # So that tasks under way can still be asked about once the environment names another key.
        changes["sealed_key"] = encryption.seal(api_key, purpose=KEY_PURPOSE)
    if account.upload_base_url != upload_base_url:
        changes["upload_base_url"] = upload_base_url
    if changes:
        ProviderAccount.objects.filter(pk=account.pk).update(**changes)
        account.refresh_from_db()
    return account
