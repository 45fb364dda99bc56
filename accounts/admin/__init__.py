"""The operators' pages about users and API tokens, and the base class of every table in the admin.

Only Django's admin site loads these modules. They change a user's rights themselves, and everything else through
`accounts.user_actions` and `accounts.tokens.services`.
"""
