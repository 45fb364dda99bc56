"""What other apps may hear about a person."""

from django.dispatch import Signal

# Sent inside the transaction that closes an account, before the person is anonymised, so that those who hold something
# of theirs let it go: cancel what waits, forget what is theirs, delete files after the commit.
# Arguments: user (User), actor (User or None for a command). An exception stops the closing and rolls everything back.
account_closing = Signal()
