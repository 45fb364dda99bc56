"""Accounts at the provider: which key is used, how keys are stored, the balance and its history, and what stops new work.

Other packages use this one before and after every call to the provider. It never calls the provider itself.
"""
