"""Users' credits: the ledger with its lots and their expiry, vouchers, and a user's statement.

`ledger` is the only writer of balances, entries and lots; views, orders and the admin call its functions. Nothing here
knows videos, prices or the provider.
"""
