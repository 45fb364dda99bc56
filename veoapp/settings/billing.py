"""User credits, provider costs and the limits on them. A limit saved in the admin replaces its setting."""

from veoapp.settings.base import env

SIGNUP_CREDITS = env.int("SIGNUP_CREDITS", default=100)
SIGNUP_CREDITS_DAYS = env.int("SIGNUP_CREDITS_DAYS", default=0)  # 0: they do not expire
# Credits that are refunded after they expired stay usable for this many days.
GRACE_DAYS = env.int("GRACE_DAYS", default=7)
USD_PER_PROVIDER_CREDIT = env.decimal("USD_PER_PROVIDER_CREDIT", default="0.005")
# The value of one user credit, from which margins are computed.
USD_PER_USER_CREDIT = env.decimal("USD_PER_USER_CREDIT", default="0.005")
# Provider credits that may disappear without a video to explain them before an alert is raised.
UNEXPLAINED_TOLERANCE = env.decimal("UNEXPLAINED_TOLERANCE", default="5")

# Limits in provider credits for a calendar hour, day and month in TIME_ZONE; 0: no limit.
HOURLY_COST_LIMIT = env.decimal("HOURLY_COST_LIMIT", default="1000")
DAILY_COST_LIMIT = env.decimal("DAILY_COST_LIMIT", default="10000")
MONTHLY_COST_LIMIT = env.decimal("MONTHLY_COST_LIMIT", default="200000")
USER_DAILY_COST_LIMIT = env.decimal("USER_DAILY_COST_LIMIT", default="0")
# Whether the rest of a budget of all users is spread evenly over the rest of its hour, day or month, once the budget has
# reached its warning threshold.
BUDGET_PACING = env.bool("BUDGET_PACING", default=True)
# Provider credits below which an alert warns, and below which new videos stop.
LOW_BALANCE_THRESHOLD = env.decimal("LOW_BALANCE_THRESHOLD", default="1000")
CRITICAL_BALANCE_THRESHOLD = env.decimal("CRITICAL_BALANCE_THRESHOLD", default="500")
# The circuit breaker: new videos wait after BREAKER_FAILURES failures among the last BREAKER_OF calls to the provider
# within BREAKER_WINDOW_S seconds, until the provider works again.
BREAKER_FAILURES = env.int("BREAKER_FAILURES", default=5)
BREAKER_OF = env.int("BREAKER_OF", default=10)
BREAKER_WINDOW_S = env.int("BREAKER_WINDOW_S", default=300)
# The spending monitor: much higher spending than usual in an hour, or many failed videos, stop all new videos; a burst of
# orders stops the new videos of that user only. `.env.example` explains each value.
UNUSUAL_WATCH = env.bool("UNUSUAL_WATCH", default=True)
UNUSUAL_SPEND_FACTOR = env.decimal("UNUSUAL_SPEND_FACTOR", default="4")
UNUSUAL_SPEND_FLOOR = env.decimal("UNUSUAL_SPEND_FLOOR", default="500")
UNUSUAL_FAILURE_SHARE = env.decimal("UNUSUAL_FAILURE_SHARE", default="0.6")
UNUSUAL_USER_BURST = env.int("UNUSUAL_USER_BURST", default=30)
UNUSUAL_PAUSE_MINUTES = env.int("UNUSUAL_PAUSE_MINUTES", default=60)  # 0: until an operator resumes
