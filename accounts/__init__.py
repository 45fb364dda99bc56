"""User accounts: who a user is, how they sign in, their preferences, API tokens, mail to them, and rate limits.

The lowest app: every other app may import it, and it imports none of them; other apps react to `accounts.signals`.
It also holds `accounts.seams`, from which every app gets time and randomness.
"""
