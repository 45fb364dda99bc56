"""Signals about users, which other apps receive."""

from django.dispatch import Signal

# Sent inside the transaction that closes an account, before the user is anonymised. Receivers cancel waiting jobs, delete
# personal data, and delete files after the commit. An exception rolls everything back and the account stays open.
# Arguments: user (User), actor (the User who closes it, or None for a command).
account_closing = Signal()
