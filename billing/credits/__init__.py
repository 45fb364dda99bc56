"""Users' credits: the ledger, vouchers, the statement, and the lots, which are credits granted and expiring together.

`ledger` is the only writer of balances, entries and lots; views, orders and the admin call its functions. Nothing here
knows videos, prices or the provider.
"""
