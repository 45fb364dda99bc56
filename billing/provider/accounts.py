"""Our accounts at providers: which account is used, its key, its balance, and what stops new work on it.

An account is paused by an operator or the spending monitor. It is blocked (stored as `parked_as`) when the provider
refuses it, until a sufficient balance is read. An estimated cost is promised (reserved) from the sending of a job until
its cost is known.
"""

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
# Every sealed (encrypted) text is bound to a purpose: a text sealed for another purpose cannot be opened as a key.
KEY_PURPOSE = "provider-key"
# An older balance is read again before a decision uses it; the poller reads it every minute anyway.
BALANCE_FRESH_FOR = timedelta(minutes=2)

Pause = ProviderAccount.Pause
REASON_LENGTH = 300
# Users read these texts in brackets after "paused", so they have no capital letter and no full stop.
PAUSE_TEXTS: dict[str, Promise] = {
    Pause.MAINTENANCE: gettext_lazy("maintenance; it will not take long"),
    Pause.PROVIDER: gettext_lazy("the provider has a problem, and we wait until it is solved"),
    Pause.COST: gettext_lazy("the operator is checking what videos cost"),
    Pause.UNUSUAL_SPEND: gettext_lazy("more is being spent than usual, and the operator is looking into it"),
}

# The provider can refuse a key that has a limit although the balance is sufficient. Without this minimum such an account
# would be blocked and unblocked in turn.
MIN_BLOCKED_TIME = timedelta(seconds=30)


class NoProviderKey(Exception):
    """No usable key is set in the environment or the admin, and the sandbox is not allowed. `facts` are for the alert."""

    def __init__(self, text: str, *, say: str, **facts: str) -> None:
        super().__init__(text)
        self.facts = {"say": [say], **facts}


@dataclass(frozen=True)
class Credentials:
    """What a client needs to send requests for an account. The repr omits the key."""

    account_id: int
    base_url: str
    upload_base_url: str
    api_key: str

    def __repr__(self) -> str:
        return f"Credentials(account_id={self.account_id}, base_url={self.base_url!r})"


def fingerprint(api_key: str) -> str:
    """A stable name for a key that does not reveal it."""
    return hashlib.sha256(b"veoapp provider key:" + api_key.encode()).hexdigest()[:32]


def get_current_account() -> ProviderAccount:
    """The account for new work: environment key, else active admin key, else sandbox. Raises NoProviderKey."""
    if settings.KIE_AI_API_KEY:
        return _get_or_create_account(
            settings.KIE_AI_API_KEY,
            source=ProviderAccount.Source.ENVIRONMENT,
            label="kie.ai",
            base_url=settings.KIE_AI_BASE_URL,
            upload_base_url=settings.KIE_AI_UPLOAD_BASE_URL,
        )
    # One query for both, because every operator page calls this.
    sandbox = Q(provider="kie", base_url=settings.SANDBOX_URL, key_fingerprint=fingerprint(SANDBOX_KEY))
    active_key = Q(source=ProviderAccount.Source.ADMIN, is_active=True)
    candidates = list(ProviderAccount.objects.select_related("paused_by").filter(active_key | sandbox))
    for account in candidates:
        if account.source == ProviderAccount.Source.ADMIN and account.is_active:
            return account
    if settings.SANDBOX_ALLOWED:
        return _get_or_create_account(
            SANDBOX_KEY,
            source=ProviderAccount.Source.SANDBOX,
            label="Sandbox",
            base_url=settings.SANDBOX_URL,
            upload_base_url=settings.SANDBOX_URL,
            existing=next(iter(candidates), None),
        )
    raise NoProviderKey("No provider key: set KIE_AI_API_KEY or add a provider account in the admin.", say="no_key")


def get_credentials(account: ProviderAccount) -> Credentials:
    """The credentials of an account, even if another account is current now. Raises NoProviderKey or EncryptionError."""
    if account.source == ProviderAccount.Source.SANDBOX:
        api_key = SANDBOX_KEY
    elif settings.KIE_AI_API_KEY and fingerprint(settings.KIE_AI_API_KEY) == account.key_fingerprint:
        api_key = settings.KIE_AI_API_KEY
    elif account.sealed_key:
        api_key = encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
    else:
        text = f"The key of {account.label} is no longer available: it was never stored."
        raise NoProviderKey(text, say="key_gone", account=account.label)
    return Credentials(account.pk, account.base_url, account.upload_base_url, api_key)


def record_balance(*, account_id: int, balance: Decimal) -> BalanceSnapshot:
    """Store the balance and a snapshot of it. A sufficient balance unblocks the account, a low one raises an alert."""
    with transaction.atomic():
        account = lock_account(account_id)
        at = clock.database_now()
        account.balance, account.balance_at = balance, at
        may_unblock = account.parked_at is not None and at - account.parked_at >= MIN_BLOCKED_TIME
        if account.parked_as and may_unblock and balance > settings.CRITICAL_BALANCE_THRESHOLD:
            account.parked_as, account.parked_at = "", None
        account.save(update_fields=["balance", "balance_at", "parked_as", "parked_at"])
        balance_alerts.update_balance_alerts(account, balance)
        # Reading a balance proves that there is a key.
        alerts.resolve_alerts(alerts.Kind.ACCESS_DENIED, cause=NO_KEY)
        return BalanceSnapshot.objects.create(
            account=account, balance=balance, promised=sum_promised(account_id), taken_at=at
        )


def sum_promised(account_id: int) -> Decimal:
    """The estimated provider credits of jobs that were sent and are not settled."""
    total = Spend.objects.filter(account_id=account_id, state=Spend.State.PROMISED).aggregate(sum=Sum("estimated"))
    return total["sum"] or Decimal(0)


def sum_committed(account: ProviderAccount) -> Decimal:
    """Costs that the balance read last may not include yet: of jobs still promised, or settled since that reading."""
    sent, settled = (
        jobs.values("account").annotate(sum=Sum("amount")).values_list("sum") for jobs in committed_jobs(account)
    )
    return sum((amount for (amount,) in sent.union(settled, all=True)), Decimal(0))


def committed_jobs(account: ProviderAccount) -> tuple[QuerySet[Spend], QuerySet[Spend]]:
    """The jobs that `sum_committed` adds up, with their `amount`: promised jobs, and those settled since the reading.

    They are two querysets, because each can use an index.
    """
    jobs = Spend.objects.filter(account_id=account.pk).order_by()
    since = account.balance_at or account.created_at
    return (
        jobs.filter(state=Spend.State.PROMISED).annotate(amount=F("estimated")),
        jobs.filter(state=Spend.State.SETTLED, settled_at__gt=since).annotate(amount=F("actual")),
    )


def get_available_balance(account: ProviderAccount, *, committed: Decimal | None = None) -> Decimal | None:
    """Provider credits that may still be promised: the balance read last minus `sum_committed`.

    Returns None if no balance was ever read. Pass `committed` if the caller knows `sum_committed` already.
    """
    if account.balance is None:
        return None
    return account.balance - (sum_committed(account) if committed is None else committed)


def lacks_balance(account: ProviderAccount, provider_credits: Decimal) -> bool:
    """Whether the available balance is too small for a job of this cost, or for any job. False if unknown."""
    available = get_available_balance(account)
    if available is None:
        return False
    return is_critical(account) or available < provider_credits or available <= settings.CRITICAL_BALANCE_THRESHOLD


def is_critical(account: ProviderAccount) -> bool:
    """Whether the last read balance is at or below the threshold that stops new work."""
    return account.balance is not None and account.balance <= settings.CRITICAL_BALANCE_THRESHOLD


def pause_account(
    *,
    account_id: int,
    actor: User | None,
    code: ProviderAccount.Pause = Pause.OWN_WORDS,
    reason: str = "",
    texts: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> bool:
    """Stop new work, either for one of the reasons in PAUSE_TEXTS or with a custom text (code OWN_WORDS).

    `reason` is the custom text, and `texts` has its translations by language code. With a reason in PAUSE_TEXTS it is a
    note that only operators read. The pause ends at `until`, or when an operator resumes the account. Without an `actor`
    (the spending monitor) an operator's pause is not replaced, and the result is False. Raises ValueError if a custom
    text is empty.
    """
    reason = reason.strip()[:REASON_LENGTH]
    if code == Pause.OWN_WORDS and not reason:
        raise ValueError("a pause without a code needs a reason")
    stored_texts = {language: text.strip()[:REASON_LENGTH] for language, text in (texts or {}).items() if text.strip()}
    accounts = ProviderAccount.objects.filter(pk=account_id)
    at = clock.now()
    if actor is None:
        accounts = accounts.filter(Q(paused_at=None) | Q(paused_by=None) | Q(paused_until__lte=at))
    return bool(
        accounts.update(
            paused_at=at,
            paused_by=actor,
            pause_code=code,
            pause_reason=reason,
            pause_words=stored_texts,
            paused_until=until,
        )
    )


def resume_account(*, account_id: int) -> bool:
    """End the pause; False if there was none."""
    return bool(_clear_pauses(ProviderAccount.objects.filter(pk=account_id, paused_at__isnull=False)))


def end_expired_pauses() -> int:
    """Clear pauses that have expired; returns how many."""
    return _clear_pauses(ProviderAccount.objects.filter(paused_until__lte=clock.now()))


def _clear_pauses(accounts: QuerySet[ProviderAccount]) -> int:
    return accounts.update(
        paused_at=None, paused_by=None, pause_code="", pause_reason="", pause_words={}, paused_until=None
    )


def format_pause_reason(account: ProviderAccount, language: str | None = None) -> str:
    """Why new videos are paused, as users read it, in this or the active language; without a full stop."""
    with translation.override(language or translation.get_language()):
        if text := PAUSE_TEXTS.get(account.pause_code):
            return str(text)
        return format_pause_note(account)


def format_pause_note(account: ProviderAccount) -> str:
    """The text given with the pause, in the active language if it has one; without a full stop."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    return str(account.pause_words.get(language) or account.pause_reason).rstrip(" .。")


def block_account(*, account_id: int, parked_as: ProviderAccount.Parked, detail: str, is_used: bool = True) -> None:
    """Stop new work because the provider refuses the account, until a sufficient balance is read.

    Raises an alert if the account is in use (`is_used`).
    """
    ProviderAccount.objects.filter(pk=account_id).update(parked_as=parked_as, parked_at=clock.database_now())
    if is_used:
        alerts.raise_alert(alerts.Kind(parked_as), cause=ProviderAccount.cause_of(account_id), detail=detail)


def lock_account(account_id: int) -> ProviderAccount:
    """The account, locked until the transaction ends, so that decisions about spending run one at a time.

    The lock does not block foreign key checks: a job that refers to the account may hold budget windows that the
    decision needs, so waiting here could deadlock.
    """
    return ProviderAccount.objects.select_for_update(no_key=True).get(pk=account_id)


def _get_or_create_account(
    api_key: str,
    *,
    source: ProviderAccount.Source,
    label: str,
    base_url: str,
    upload_base_url: str,
    existing: ProviderAccount | None = None,
) -> ProviderAccount:
    # `paused_by` is loaded in the same query, because pages show who paused the account.
    account = (
        existing
        or ProviderAccount.objects.select_related("paused_by").get_or_create(
            provider="kie",
            base_url=base_url,
            key_fingerprint=fingerprint(api_key),
            defaults={"source": source, "label": label, "upload_base_url": upload_base_url},
        )[0]
    )
    changes: dict[str, str] = {}
    if not account.sealed_key and source != ProviderAccount.Source.SANDBOX and encryption.is_configured():
        # The key is stored (sealed) so that running tasks can still be polled once the environment has another key.
        changes["sealed_key"] = encryption.seal(api_key, purpose=KEY_PURPOSE)
    if account.upload_base_url != upload_base_url:
        changes["upload_base_url"] = upload_base_url
    if changes:
        ProviderAccount.objects.filter(pk=account.pk).update(**changes)
        account.refresh_from_db()
    return account
