"""User accounts: who a user is, how they sign in, their preferences, API tokens, mail to them, and rate limits.

The lowest app: every other app may import it, and it imports none of them; other apps react to `accounts.signals`.
It also holds the seams (`accounts.seams`) that every app reads time and randomness through.
"""
